"""What authors get wrong in their first week, and what each mistake is told: file, line, remedy.

`python tests/dialogue/test_mistakes_of_authors.py` writes dialplans/MISTAKES.md, which is this
table for people.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from voicebot.dialogue.plan import check
from voicebot.nlu.grammar import problem

pytestmark = pytest.mark.unit
# ruff: noqa: E501  # messages stand in one piece, to be searched for

DOCUMENT = Path(__file__).parents[2] / "dialplans" / "MISTAKES.md"
GOOD = """\
name: Flowers
welcome: Welcome to Rose's flowers.
timezone: Europe/Madrid
hours: {weekly: {monday-friday: "9:00-17:00"}}
universals:
  operator: {transfer: "+15550100", dtmf: "0"}
noinput:
  - Sorry, I did not hear you.
variables: {discount: 0}
services:
  price: {webhook: "https://shop.example/price", timeout: 3s}
forms:
  main:
    prompt: Would you like to order, or hear our hours?
    menu:
      - {goto: order, dtmf: "1"}
      - {goto: hours, dtmf: "2"}
  order:
    phrases: ["[I want to] order {flower}"]
    examples: [something nice for my mother]
    fields:
      flower:
        prompt: Which flower?
        choices: {rose: "[red] (rose|roses)", tulip: tulips}
      count:
        type: number
        prompt: How many?
        filled:
          - {when: count > 50, say: Fifty at most., clear: count}
      card:
        type: digits
        length: 16
        prompt: Your card number, please.
    review: "{{ count }} times {{ flower }}. Is that right?"
    filled:
      - call: price
        with: [flower, count]
        assign: total
        error: {say: Sorry., goto: main}
      - say: That is {{ total | money }}.
        disconnect: {outcome: ordered, goal: true}
  hours:
    phrases: ["opening hours"]
    examples: [until when are you there]
    enter:
      - {say: From nine to five., goto: main}
"""

# What is wrong, what of the good plan is replaced, by what, and what the author is told.
MISTAKES = [
    (
        "a tab for indentation",
        "  main:\n",
        "\tmain:\n",
        "plan.yaml:13: not valid YAML: a tab cannot indent YAML; use spaces",
    ),
    (
        "a key indented too far",
        "    menu:\n",
        "      menu:\n",
        "plan.yaml:15: not valid YAML: a ': ' too many; put text that holds a colon in quotes, or indent this key like its neighbors",
    ),
    (
        "a key not indented far enough",
        "    menu:\n",
        "  menu:\n",
        "plan.yaml:15: form 'menu': 'menu' is a key of forms; indent it further, below its form",
    ),
    (
        "a colon in a text",
        "prompt: How many?",
        "prompt: How many: one or two?",
        "plan.yaml:27: not valid YAML: a ': ' too many; put text that holds a colon in quotes, or indent this key like its neighbors",
    ),
    (
        "a key without its colon",
        "    menu:\n",
        "    menu\n",
        "plan.yaml:16: not valid YAML: a key without ':' (or text that continues without indentation)",
    ),
    (
        "a quote that is never closed",
        '"1"}',
        '"1}',
        "plan.yaml:17: not valid YAML: a quote, comma or bracket is missing here, or in the line before",
    ),
    (
        "a bracket that is never closed",
        'choices: {rose: "[red] (rose|roses)", tulip: tulips}',
        'choices: {rose: "[red] (rose|roses)", tulip: tulips',
        "plan.yaml:25: not valid YAML: a quote, comma or bracket is missing here, or in the line before",
    ),
    (
        "a question mark in braces",
        "{say: From nine to five., goto: main}",
        "{say: Shall we?, goto: main}",
        "plan.yaml:46: not valid YAML: text with '?' inside {...} or [...] must stand in quotes",
    ),
    (
        "a text that begins with an apostrophe",
        "prompt: How many?",
        "prompt: 'til when?",
        "plan.yaml:27: not valid YAML: a quote that is never closed; text with an apostrophe stands in double quotes",
    ),
    (
        "a text that begins with @",
        "prompt: How many?",
        "prompt: @ what price?",
        "plan.yaml:27: not valid YAML: text that begins with '@' must stand in quotes",
    ),
    (
        "a prompt that begins with a value, without quotes",
        "say: That is {{ total | money }}.",
        "say: {{ total | money }} it is.",
        "plan.yaml:40: not valid YAML: text that begins with '{{' must stand in quotes",
    ),
    (
        "a comment sign without a space before a text",
        "prompt: How many?",
        "prompt: #1 question?",
        "plan.yaml:25: field 'count': has no 'prompt'; add one, or 'optional: true' if it is never asked for",
    ),
    (
        "a key twice",
        "    prompt: Would you",
        "    prompt: Hello?\n    prompt: Would you",
        "plan.yaml:15: key 'prompt' stands twice (first in line 14); remove one",
    ),
    (
        "a form twice",
        "  hours:\n    phrases",
        "  order: {enter: {goto: main}}\n  hours:\n    phrases",
        "plan.yaml:42: key 'order' stands twice (first in line 18); remove one",
    ),
    (
        "an alias that is nowhere",
        "prompt: How many?",
        "prompt: *many",
        "plan.yaml:27: not valid YAML: found undefined alias 'many'; text that begins with '*' must stand in quotes",
    ),
    (
        "a list where a mapping belongs",
        "forms:\n  main:\n",
        "forms:\n  - main:\n",
        "plan.yaml:18: not valid YAML: this line is not indented like those that it belongs to",
    ),
    (
        "a misspelt key of the plan",
        "welcome:",
        "welcom:",
        "plan.yaml:2: unknown key 'welcom'; did you mean 'welcome'?",
    ),
    (
        "a misspelt key of a form",
        "    menu:\n",
        "    menue:\n",
        "plan.yaml:15: form 'main': unknown key 'menue'; did you mean 'menu'?",
    ),
    (
        "a misspelt key of a field",
        "prompt: How many?",
        "promt: How many?",
        "plan.yaml:27: field 'count': unknown key 'promt'; did you mean 'prompt'?",
    ),
    (
        "a key of another tool",
        "noinput:\n",
        "no_input:\n",
        "plan.yaml:7: unknown key 'no_input'; did you mean 'noinput'?",
    ),
    (
        "a key of VoiceXML",
        "welcome: ",
        "bargein: false\nwelcome: ",
        "plan.yaml:2: unknown key 'bargein'; VoiceXML's bargein is 'barge_in'",
    ),
    (
        "a step with a misspelt key",
        "disconnect: {outcome: ordered, goal: true}",
        "disconect: {outcome: ordered, goal: true}",
        "plan.yaml:41: form 'order': unknown key 'disconect'; did you mean 'disconnect'?",
    ),
    (
        "a type that does not exist",
        "type: number",
        "type: numeric",
        "plan.yaml:26: field 'count': unknown type 'numeric'; did you mean 'number'?",
    ),
    (
        "a type in capitals",
        "type: number",
        "type: Number",
        "plan.yaml:26: field 'count': unknown type 'Number'; did you mean 'number'?",
    ),
    (
        "a number where text belongs",
        "welcome: Welcome to Rose's flowers.",
        "welcome: 7",
        "plan.yaml:2: 'welcome' must be text, or a list of texts, not 7",
    ),
    (
        "text where a list of menu entries belongs",
        '    menu:\n      - {goto: order, dtmf: "1"}\n      - {goto: hours, dtmf: "2"}\n',
        "    menu: order or hours\n",
        "plan.yaml:15: form 'main': 'menu' must be a list, not 'order or hours'",
    ),
    (
        "nothing after a key",
        "        prompt: How many?\n",
        "        prompt:\n",
        "plan.yaml:25: field 'count': has no 'prompt'; add one, or 'optional: true' if it is never asked for",
    ),
    (
        "a duration without its unit",
        "timeout: 3s",
        "timeout: 3",
        "plan.yaml:11: service 'price': 'timeout': a duration is written like 2s or 500ms, not 3",
    ),
    (
        "a duration in words",
        "timeout: 3s",
        "timeout: 3 seconds",
        "plan.yaml:11: service 'price': 'timeout': a duration is written like 2s or 500ms, not '3 seconds'",
    ),
    (
        "a time without quotes or a range",
        '"9:00-17:00"',
        "9-17",
        "plan.yaml:4: 'weekly': '9-17' are no hours; write 9:00-17:00 (up to 24:00), a list of them, or closed",
    ),
    (
        "a weekday in short",
        "monday-friday",
        "mon-fri",
        "plan.yaml:4: 'weekly': 'mon-fri' is no day; write monday, or monday-friday",
    ),
    (
        "a time zone that does not exist",
        "Europe/Madrid",
        "Europe/Madird",
        "plan.yaml:3: 'timezone': is not a time zone; write one like America/New_York, not 'Europe/Madird'; did you mean 'Europe/Madrid'?",
    ),
    (
        "a telephone number without +",
        '"+15550100"',
        '"5550100"',
        "plan.yaml:6: '5550100' is neither a number like '+15550123456' (quoted) nor sip:name@host",
    ),
    (
        "a key that no telephone has",
        'dtmf: "2"',
        'dtmf: "12a"',
        "plan.yaml:17: form 'main': 'dtmf': '12a' is not a key; keys are 0-9, *, # and A-D",
    ),
    (
        "a key twice in a menu",
        'dtmf: "2"',
        'dtmf: "1"',
        "plan.yaml:17: form 'main': key 1 stands twice in the menu",
    ),
    (
        "the operator's key in a menu",
        'dtmf: "2"',
        'dtmf: "0"',
        "plan.yaml:17: warning: form 'main': key 0 stands for the universal 'operator' already; take another one",
    ),
    (
        "an unknown form in goto",
        "{say: From nine to five., goto: main}",
        "{say: From nine to five., goto: mian}",
        "plan.yaml:46: form 'hours': 'goto': unknown form 'mian'; did you mean 'main'?",
    ),
    (
        "an unknown form in a menu",
        "{goto: hours,",
        "{goto: hour,",
        "plan.yaml:17: form 'main': 'goto': unknown form 'hour'; did you mean 'hours'?",
    ),
    (
        "a form that cannot be chosen",
        '      - {goto: order, dtmf: "1"}\n      - {goto: hours, dtmf: "2"}\n',
        '      - {goto: order, dtmf: "1"}\n      - hours\n      - bye\n  bye: {enter: {disconnect: bye}}\n',
        "plan.yaml:18: form 'main': 'bye' cannot be chosen; add 'phrases' to that form or a 'dtmf' key here",
    ),
    (
        "an unknown form to start with",
        "welcome: ",
        "start: begin\nwelcome: ",
        "plan.yaml:2: unknown form 'begin'; forms are main, order, hours",
    ),
    (
        "an unknown field in a prompt",
        "{{ count }} times",
        "{{ cuont }} times",
        "plan.yaml:34: form 'order': unknown name 'cuont' in the prompt; did you mean 'count'?",
    ),
    (
        "an unknown field in a condition",
        "when: count > 50",
        "when: amount > 50",
        "plan.yaml:29: field 'count': unknown name 'amount' in 'amount > 50'; did you mean 'count'?",
    ),
    (
        "an unknown field in a phrase",
        "order {flower}",
        "order {flowers}",
        "plan.yaml:19: form 'order': phrase '[I want to] order {flowers}': no field 'flowers' in this form; did you mean 'flower'?",
    ),
    (
        "an unknown field to clear",
        "clear: count",
        "clear: cuont",
        "plan.yaml:29: field 'count': unknown name 'cuont' in 'clear'; did you mean 'count'?",
    ),
    (
        "an unknown argument",
        "with: [flower, count]",
        "with: [flower, number]",
        "plan.yaml:37: form 'order': unknown name 'number' in 'number'; put text in quotes: 'number'",
    ),
    (
        "an unknown service",
        "call: price",
        "call: prices",
        "plan.yaml:36: form 'order': unknown service 'prices'; did you mean 'price'?",
    ),
    (
        "an unknown list",
        'choices: {rose: "[red] (rose|roses)", tulip: tulips}',
        "list: flowers",
        "plan.yaml:24: field 'flower': unknown list 'flowers'; declare it under 'lists:'",
    ),
    (
        "an unknown way to speak a value",
        "total | money",
        "total | currency",
        "plan.yaml:40: form 'order': unknown kind 'currency'; one of amount, date, digits, letters, money, number, ordinal, phone, spell, text, time, yes_no",
    ),
    (
        "single braces in a prompt",
        "say: That is {{ total | money }}.",
        "say: 'That is {total}.'",
        "plan.yaml:40: warning: form 'order': '{total}' is spoken as it stands; a value is written {{ total }}",
    ),
    (
        "braces that do not match",
        "{{ total | money }}",
        "{{ total | money }",
        "plan.yaml:40: form 'order': '{{' without its counterpart",
    ),
    (
        "= in a condition",
        "when: count > 50",
        "when: count = 50",
        "plan.yaml:29: field 'count': condition 'count = 50': cannot read '= 50'; compare with '=='",
    ),
    (
        "text without quotes in a condition",
        "when: count > 50",
        "when: flower == rose",
        "plan.yaml:29: field 'count': unknown name 'rose' in 'flower == rose'; put text in quotes: 'rose'",
    ),
    (
        "a condition in Python",
        "when: count > 50",
        "when: len(flower) > 50",
        "plan.yaml:29: field 'count': condition 'len(flower) > 50': unexpected '('",
    ),
    (
        "and written &&",
        "when: count > 50",
        "when: count > 50 && count < 60",
        "plan.yaml:29: field 'count': condition 'count > 50 && count < 60': cannot read '&& count < 60'; write 'and'",
    ),
    (
        "a condition that is a boolean",
        "when: count > 50",
        "when: true",
        "plan.yaml:29: field 'count': 'when' must be text, not true",
    ),
    (
        "a bracket of a phrase that is never closed",
        '"[I want to] order {flower}"',
        '"[I want to order {flower}"',
        "plan.yaml:19: form 'order': phrase '[I want to order {flower}': '[' is never closed",
    ),
    (
        "a phrase with too many alternatives",
        '"opening hours"',
        '"(a|b|c|d) (a|b|c|d) (a|b|c|d) (a|b|c|d) (a|b|c|d) (a|b|c|d) "',
        "plan.yaml:43: form 'hours': pattern '(a|b|c|d) (a|b|c|d) (a|b|c|d) (a|b|c|d) (a|b|c|d) (a|b|c|d) ' stands for more than 512 phrases; split it",
    ),
    (
        "a field without a prompt",
        "        prompt: How many?\n",
        "",
        "plan.yaml:25: field 'count': has no 'prompt'; add one, or 'optional: true' if it is never asked for",
    ),
    (
        "a menu without a prompt",
        "    prompt: Would you like to order, or hear our hours?\n",
        "",
        "plan.yaml:13: form 'main': has no 'prompt'; add the menu's question",
    ),
    (
        "an empty form",
        '  hours:\n    phrases: ["opening hours"]\n    examples: [until when are you there]\n    enter:\n      - {say: From nine to five., goto: main}\n',
        "  hours: {}\n",
        "plan.yaml:42: form 'hours': is empty; give it 'fields', a 'menu', or 'enter' steps",
    ),
    (
        "a choice without choices",
        '        choices: {rose: "[red] (rose|roses)", tulip: tulips}\n',
        "        type: choice\n",
        "plan.yaml:22: field 'flower': a choice needs 'choices'",
    ),
    (
        "a length for a type that has none",
        "type: number",
        "type: number\n        length: 2",
        "plan.yaml:27: field 'count': 'length' goes with digits, letters and phone only",
    ),
    (
        "a form that nothing leads to",
        '      - {goto: hours, dtmf: "2"}\n',
        "",
        "plan.yaml:41: warning: form 'hours': cannot be reached from the start",
    ),
    (
        "a form without an end",
        "        disconnect: {outcome: ordered, goal: true}\n",
        "",
        "plan.yaml:18: warning: form 'order': can end without goto, transfer or disconnect; the call then ends as 'completed'",
    ),
    (
        "a loop without a way out",
        "        disconnect: {outcome: ordered, goal: true}\n",
        "        goto: main\n",
        "plan.yaml:13: form 'main': loop without exit: 'main', 'order', 'hours' never come to transfer or disconnect; add one",
    ),
    (
        "a loop that waits for nobody",
        "{say: From nine to five., goto: main}",
        "{say: From nine to five., goto: hours}",
        "plan.yaml:42: form 'hours': loop that waits for nobody: hours -> hours",
    ),
    (
        "a step after the exit",
        "{say: From nine to five., goto: main}",
        "{say: From nine to five., goto: main}\n      - Goodbye.",
        "plan.yaml:47: warning: form 'hours': this step is never reached; the one before leaves",
    ),
    (
        "two exits",
        "error: {say: Sorry., goto: main}",
        "error: {say: Sorry., goto: main, disconnect: failed}",
        "plan.yaml:39: form 'order': a step has one exit: return, goto, transfer or disconnect",
    ),
    (
        "a step that does nothing",
        "  - {when: count > 50, say: Fifty at most., clear: count}",
        "  - {when: count > 50}",
        "plan.yaml:29: field 'count': a step does nothing; give it one of say, set, clear, record, goal, language, task, form, voicemail, call, do, return, goto, transfer, ...",
    ),
    (
        "a rung without prompt and exit",
        "  - Sorry, I did not hear you.\n",
        "  - {count: 1}\n",
        "plan.yaml:8: 'noinput': neither prompt nor exit",
    ),
    (
        "counts of a ladder that fall",
        "  - Sorry, I did not hear you.\n",
        "  - {count: 2, prompt: Hello.}\n  - {count: 1, prompt: Anyone.}\n",
        "plan.yaml:9: 'noinput': counts must rise; 1 comes twice or late",
    ),
    (
        "a ladder without exit",
        'universals:\n  operator: {transfer: "+15550100", dtmf: "0"}\n',
        "",
        "plan.yaml:5: warning: 'noinput': ladder without exit; after its last rung the call just ends. Give it a transfer, goto or disconnect, or the plan a universal 'operator'",
    ),
    (
        "a ladder that leads round and round",
        "    prompt: Would you",
        "    nomatch: [Sorry., {goto: main}]\n    prompt: Would you",
        "plan.yaml:14: form 'main': loop without exit on nomatch: main -> main; end it in transfer/disconnect",
    ),
    (
        "the same example for two forms",
        "[until when are you there]",
        "[something nice for your mother]",
        "plan.yaml:44: warning: form 'hours': ambiguous example: 'something nice for your mother' for 'hours' says nearly the same as 'something nice for my mother' for 'order' in line 20; make them differ",
    ),
    (
        "the same phrase for two forms",
        '"opening hours"',
        '"order {flower}"',
        "plan.yaml:43: warning: form 'hours': 'order {flower}' asks for 'hours' here, and for 'order' in line 19; keep it in one of them",
    ),
    (
        "a phrase that is a universal",
        '"opening hours"',
        '"help"',
        "plan.yaml:43: warning: form 'hours': 'help' asks for 'hours' here, but means the universal 'help' everywhere; take other words, or give that one its own 'phrases'",
    ),
    (
        "the same words for two choices",
        "tulip: tulips",
        "tulip: roses",
        "plan.yaml:24: warning: field 'flower': 'roses' stands for both 'rose' and 'tulip'; keep it in one",
    ),
    (
        "a key twice among choices",
        '{rose: "[red] (rose|roses)", tulip: tulips}',
        "{rose: {dtmf: 1}, tulip: {dtmf: 1}}",
        "plan.yaml:24: field 'flower': key 1 stands for 'rose' already",
    ),
    (
        "a variable with a field's name",
        "variables: {discount: 0}",
        "variables: {count: 0}",
        "plan.yaml:9: variable 'count': is a field of form 'order' already",
    ),
    (
        "a name that is reserved",
        "variables: {discount: 0}",
        "variables: {now: 0}",
        "plan.yaml:9: variable 'now': this name is reserved; take another one",
    ),
    (
        "a name with a space",
        "  hours:\n    phrases",
        "  opening hours:\n    phrases",
        "plan.yaml:42: form 'opening hours': 'opening hours' is not a name; use letters, digits and _, beginning with a letter",
    ),
    (
        "a field of the same name that holds something else",
        '  hours:\n    phrases: ["opening hours"]\n',
        '  hours:\n    phrases: ["opening hours"]\n    fields: {count: {type: text, prompt: Hm.}}\n',
        "plan.yaml:44: field 'count': differs from field 'count' of form 'order' in type or choices; rename one, or share the choices through 'lists:'",
    ),
    (
        "neither python nor webhook",
        '{webhook: "https://shop.example/price", timeout: 3s}',
        "{timeout: 3s}",
        "plan.yaml:11: service 'price': needs either 'python: module:function' or 'webhook'",
    ),
    (
        "a webhook that is no address",
        '"https://shop.example/price"',
        "shop.example/price",
        "plan.yaml:11: service 'price': 'webhook': 'shop.example/price' is not a URL; it begins with https://",
    ),
    (
        "a Python module that is not there",
        'webhook: "https://shop.example/price"',
        'python: "shop:price"',
        "plan.yaml:11: service 'price': shop.py does not exist; put the module beside the plan",
    ),
    (
        "menu and fields in one form",
        '  hours:\n    phrases: ["opening hours"]\n',
        '  hours:\n    phrases: ["opening hours"]\n    menu: [order]\n    prompt: Hm.\n    fields: {x: {type: text, prompt: Hm.}}\n',
        "plan.yaml:42: form 'hours': has both 'menu' and 'fields'; put the fields in a form of their own",
    ),
    (
        "what follows a form is not there",
        "timezone: Europe/Madrid\n",
        "timezone: Europe/Madrid\nnext: more\n",
        "plan.yaml:4: 'next': unknown form 'more'; did you mean 'order'?",
    ),
    (
        "a type of a reply that does not exist",
        "timeout: 3s}",
        "timeout: 3s, reply: {total: numbr}}",
        "plan.yaml:11: service 'price': 'total': unknown type 'numbr'; did you mean 'number'?",
    ),
    (
        "a type of an argument from another language",
        "timeout: 3s}",
        "timeout: 3s, arguments: {flower: string}}",
        "plan.yaml:11: service 'price': 'flower': unknown type 'string'; one of choice, yes_no, digits, number, amount, date, time, phone, letters, text",
    ),
    (
        "per cent where a share belongs",
        "welcome: ",
        "confirm: {implicit_below: 60}\nwelcome: ",
        "plan.yaml:2: 'implicit_below': must be less than or equal to 1, not 60",
    ),
    (
        "an exit without its value",
        "disconnect: {outcome: ordered, goal: true}",
        "disconnect:",
        "plan.yaml:41: form 'order': 'disconnect' has no value, and does nothing; give it one, or remove it",
    ),
    (
        "yes where true belongs",
        "goal: true",
        "goal: yes",
        "plan.yaml:41: form 'order': 'goal' must be true or false, not 'yes'",
    ),
    (
        "the operator's number alone",
        'operator: {transfer: "+15550100", dtmf: "0"}',
        'operator: "+15550100"',
        "plan.yaml:6: 'operator' takes keys here, such as {transfer: ...}",
    ),
    (
        "a day of the month without hyphens",
        'hours: {weekly: {monday-friday: "9:00-17:00"}}',
        'hours: {weekly: {monday-friday: "9:00-17:00"}, holidays: [20261225]}',
        "plan.yaml:4: 'holidays': '20261225' is no date; write 2026-12-25, or 12-25 for every year",
    ),
    (
        "a holiday as it is written in America",
        'hours: {weekly: {monday-friday: "9:00-17:00"}}',
        'hours: {weekly: {monday-friday: "9:00-17:00"}, holidays: [12/25]}',
        "plan.yaml:4: 'holidays': '12/25' is no date; write 2026-12-25, or 12-25 for every year",
    ),
    (
        "a day that stands in two spans",
        'hours: {weekly: {monday-friday: "9:00-17:00"}}',
        'hours: {weekly: {monday-wednesday: "9:00-17:00", wednesday-friday: "9:00-12:00"}}',
        "plan.yaml:4: 'weekly': wednesday stands twice; name it once",
    ),
    (
        "a time zone without daylight saving time",
        "Europe/Madrid",
        "EST",
        "plan.yaml:3: warning: 'EST' has no daylight saving time; write one like America/New_York",
    ),
    (
        "braces in a condition",
        "when: count > 50",
        'when: "{{ count }} > 50"',
        "plan.yaml:29: field 'count': condition '{{ count }} > 50': cannot read '{{ count }} > 50'; names stand without braces here",
    ),
    (
        "null in a condition",
        "when: count > 50",
        "when: count == null",
        "plan.yaml:29: field 'count': unknown name 'null' in 'count == null'; write none",
    ),
    (
        "True in a condition",
        "when: count > 50",
        "when: count == True",
        "plan.yaml:29: field 'count': unknown name 'True' in 'count == True'; write true",
    ),
    (
        "is in a condition",
        "when: count > 50",
        "when: count is None",
        "plan.yaml:29: field 'count': condition 'count is None': unexpected 'is'; compare with == or !=",
    ),
    (
        "braces in an argument",
        "with: [flower, count]",
        'with: {flower: "{{ flower }}"}',
        "plan.yaml:37: form 'order': condition '{{ flower }}': cannot read '{{ flower }}'; names stand without braces here",
    ),
    (
        "a value in a webhook's address",
        '"https://shop.example/price"',
        '"https://shop.example/price?of={{ flower }}"',
        "plan.yaml:11: service 'price': a webhook's URL holds no values; what the call knows goes along in 'with'",
    ),
    (
        "a module with .py",
        'webhook: "https://shop.example/price"',
        'python: "shop.py:price"',
        "plan.yaml:11: service 'price': shop/py.py does not exist; write 'shop:price'",
    ),
    (
        "tags in a prompt",
        "prompt: How many?",
        "prompt: \"How <break time='1s'/> many?\"",
        "plan.yaml:27: warning: field 'count': '<break time='1s'/>' is spoken as it stands; a part that is not always spoken has a 'when', a silence is {{ pause 500ms }}, a pace {{ name | slow }}",
    ),
    (
        "template code in a prompt",
        "prompt: How many?",
        'prompt: "{% if flower %}How many?{% endif %}"',
        "plan.yaml:27: warning: field 'count': '{% if flower %}' is spoken as it stands; a part that is not always spoken has a 'when', a silence is {{ pause 500ms }}, a pace {{ name | slow }}",
    ),
    (
        "a part of a prompt without its text",
        "say: That is {{ total | money }}.",
        "say: [{text: That is all.}]",
        "plan.yaml:40: form 'order': 'say' is missing",
    ),
    (
        "a rung behind the exit",
        "  - Sorry, I did not hear you.\n",
        "  - {prompt: Sorry., disconnect: silent}\n  - Hello.\n",
        "plan.yaml:9: warning: 'noinput': this rung is never reached; the one before leaves",
    ),
    (
        "a weight of what nobody says",
        "variables: {discount: 0}",
        "variables: {discount: 0}\nweights: {tulipes: 2}",
        "plan.yaml:10: warning: 'weights': no phrase, hint or choice is 'tulipes'; did you mean 'tulips'?",
    ),
    (
        "a choice that is a boolean",
        'choices: {rose: "[red] (rose|roses)", tulip: tulips}',
        "choices: [true, false]",
        "plan.yaml:24: field 'flower': 'choices': a list of choices holds words and numbers; write true in quotes",
    ),
    (
        "two plans in one file",
        "forms:\n",
        "---\nforms:\n",
        "plan.yaml:12: not valid YAML: a second document begins here ('---'); a file holds one plan",
    ),
    (
        "a call that is made again for as long as it fails",
        "    fields:\n      flower:",
        "    enter: {call: price, with: {flower: \"'rose'\"}, assign: total, error: {goto: order}}\n    fields:\n      flower:",
        "plan.yaml:21: warning: form 'order': loop that waits for nobody while the service fails: order -> order; go to a form that asks the caller something first",
    ),
    (
        "else in a step",
        "{when: count > 50, say: Fifty at most., clear: count}",
        "{when: count > 50, say: Fifty at most., else: {say: Good.}}",
        "plan.yaml:29: field 'count': unknown key 'else'; write a step of its own, with the opposite as its 'when'",
    ),
    (
        "if in a step",
        "{when: count > 50,",
        "{if: count > 50,",
        "plan.yaml:29: field 'count': unknown key 'if'; a step's condition is 'when'",
    ),
    (
        "a value in angle brackets",
        "order {flower}",
        "order <flower>",
        "plan.yaml:19: warning: form 'order': '[I want to] order <flower>': a value is written {flower}, not <flower>",
    ),
    (
        "words with a slash",
        '"opening hours"',
        '"opening/closing hours"',
        "plan.yaml:43: warning: form 'hours': 'opening/closing hours': a phrase is no regular expression, '/' means nothing in it; words around a phrase do not matter, [...] may be left out, (a|b) is one of several",
    ),
    (
        "a shortest message that is longer than the longest",
        "{say: From nine to five., goto: main}",
        "{voicemail: {min: 20s, max: 10s}, goto: main}",
        "plan.yaml:46: form 'hours': 'voicemail': min is longer than max (20000, 10000ms)",
    ),
    (
        "a language that is not complete",
        "timezone: Europe/Madrid\n",
        "timezone: Europe/Madrid\nlanguage: fr\n",
        "plan.yaml:4: warning: 'fr': what a plan need not say (asking again, confirming, yes and no, values) is English in it; complete are en, es",
    ),
    (
        "a list within a list of prompts",
        "prompt: How many?",
        "prompt: [[How many]]",
        "plan.yaml:27: field 'count': 'prompt' must be text, or a list of texts, not a list",
    ),
]


def found(folder: Path, text: str) -> list[str]:
    """Everything that `voicebot check` says, without the folder."""
    path = folder / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    problems = check(path, pattern_problem=problem)
    return [str(one).replace(f"{folder}/", "") for one in problems]


def test_the_good_plan_is_good(tmp_path: Path) -> None:
    assert found(tmp_path, GOOD) == []


def test_there_are_enough_and_each_is_one_of_its_own() -> None:
    assert len(MISTAKES) >= 40
    assert len({title for title, *_ in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize(("title", "old", "new", "told"), MISTAKES)
def test_a_mistake_is_told(tmp_path: Path, title: str, old: str, new: str, told: str) -> None:
    assert GOOD.count(old) == 1
    problems = found(tmp_path, GOOD.replace(old, new))
    assert told in problems, problems
    # One slip is not drowned in what follows from it.
    assert len(problems) <= 3, problems


def document() -> str:
    """The table for people."""
    lines = [
        "# Mistakes in dialplans",
        "",
        "What authors get wrong in their first week, and what `voicebot check` says then. Tested:",
        "each message is what it really says about a plan that is good but for this.",
        "",
    ]
    for title, old, new, told in MISTAKES:
        lines += [f"**{title[0].upper()}{title[1:]}**", ""]
        if new:
            start = GOOD.rfind("\n", 0, GOOD.index(old)) + 1
            text = GOOD.replace(old, new)
            end = text.find("\n", GOOD.index(old) + len(new) - 1)
            shown = text[start:end].replace("\t", "\N{RIGHTWARDS ARROW}")
            lines += ["```yaml", *shown.split("\n"), "```"]
        else:
            gone = " / ".join(line.strip() for line in old.strip().split("\n"))
            lines += [f"(without `{gone}`)"]
        lines += ["", f"> {told}", ""]
    return "\n".join(lines[:-1]) + "\n"


def test_the_table_for_people_is_this_one() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document()


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
