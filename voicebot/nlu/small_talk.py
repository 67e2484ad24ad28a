"""What callers say on any line without answering: asides, thanks, waiting, "I don't know".

Understood as meaning nothing, so that nothing is guessed from their sounds: "I don't know" is no
"downtown", "hang on" does not hang up, and "thank you" is no "no thank you". A plan's own phrase
goes before where it says as much or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from voicebot.nlu.answers import answers
from voicebot.nlu.grammar import Trie, expand
from voicebot.nlu.matcher import FILLERS
from voicebot.nlu.similarity import STOP_WORDS

_ENGLISH = (
    "(hello|hi|hey) [there] [is (anybody|anyone|somebody) there]",
    "[hello] can you hear me",
    "good (morning|afternoon|evening|night|day)",
    "have a (nice|good|great) (day|one|evening|weekend)",
    "(how|and how) are you [doing] [today]",
    "(i'm|i am) (fine|good|well) how are you",
    "[okay] (thank you|thanks) [very much|so much|a lot|again|for that]",
    "you're welcome",
    "(excuse|pardon) me",
    "(i'm|i am|so|very) sorry [about that]",
    "[just] (hang|hold) on [a|one|for a] [second|sec|minute|moment]",
    "(wait|give me) [just] (a|one) (second|sec|minute|moment)",
    "[just] (a|one) (second|sec|minute|moment) [please]",
    "let me (think|see|check|look|try|ask|get|find|grab|know) [about it|that|it|again]",
    "let me look (it|that) up",
    "i (have|need|want) to (think|look|check|look it up|check that)",
    "(where|what) did i (put|do with|say) [it|that]",
    "i (can't|cannot|can not) (find|see|read|hear|remember|understand|think of) [it|that|you|one]",
    "i (don't|do not) (know|understand|see|have|remember|follow|get) [it|that|this|one|that one]",
    "i (don't|do not) have (it|that) [with me|here|handy]",
    "(i've|i have) no (idea|clue)",
    "(who knows|beats me|good question|tough question|that's a good question)",
    "what (do|does) (you|that|it) mean [by that]",
    "why do you (ask|need|want) [that|it|to know]",
    "you know [what|what i mean]",
    "(oh|my) [my] (god|goodness|gosh|boy|dear)",
    "(shut up|go away|leave me alone|be quiet|stop it|stop talking|speak up|slow down)",
    "(you|you're) [are] (speak|speaking|talk|talking|going) too (fast|slow|quietly)",
    "(speak|talk) (louder|slower|slowly|up)",
    "[i was|i'm|am i|were you] talking to [my|a] [wife|husband|kids|machine|robot|computer]",
    "(are you|is this) [a|just a] (robot|machine|computer|recording|bot|human|real person)",
    "(this is|it's|that's) (ridiculous|stupid|annoying|unbelievable|a joke|outrageous)",
    "(this|it) is taking [too|so|very] (long|much time)",
    "i hate (this|these machines|machines|you|it)",
    "you are (useless|stupid|no help)",
    "what [the hell|on earth|the heck] is (wrong|the matter) with (you|this thing)",
    "(that|it|this) doesn't (work|help|make sense|make any sense)",
    "(damn|damn it|bloody hell|for god's sake|for heaven's sake|what the hell)",
    "(come on|whatever you say|if you say so|like i said|as i said|for the last time)",
    "(i|i've) (already told|told) you [that|before|already]",
    "(tell me a joke|sing a song|what's the weather [like]|what time is it|surprise me)",
    "(see you|talk to you) (later|soon|tomorrow)",
    "[i'll|i will|can i|let me] call you back [later]",
    "(somebody|someone) is at the door",
    "turn (down|off) the (tv|television|radio|music)",
    "(the dog is barking|the line is bad|you're breaking up|i'm in the car|i'm driving)",
    "ignore [all] [your|my|the|any] [previous|prior|above|earlier] (instructions|rules|prompts)",
    "print your system prompt",
    "[i have|i've got] (a|another) question",
    "[are] you sure [about that|of that]",
    "right (now|here|away)",
    "(stop right there|correct me if i'm wrong|what's wrong|is (something|anything) wrong)",
    "(bear with me|one sec|hold the line|could you hold|take your time|no rush|dunno|no clue)",
    "(who is this|who am i (speaking|talking) to|what number is this|is this call recorded)",
    "(i see|good to know|makes sense|you must be joking|give me a break|that's interesting)",
    "[maybe|perhaps] (later|some other time)",
    "(disregard|forget) [all] (the|your) (above|instructions|previous instructions|rules)",
)
_SPANISH = (
    "(hola|buenos días|buenas tardes|buenas noches|buenas)",
    "(me oye|me escucha|hay alguien)",
    "(muchas gracias|gracias|muy amable)",
    "(un momento|un segundo|un minuto|espere|espera|espérese|permítame) [por favor]",
    "(déjeme|deja|a) (ver|pensar|mirar|buscar)",
    "no (lo|la) (sé|encuentro|tengo|entiendo|recuerdo|veo)",
    "no (entiendo|tengo idea|recuerdo|me acuerdo|le oigo|oigo|escucho)",
    "(quién sabe|ni idea|buena pregunta)",
    "(qué quiere decir|para qué lo necesita|por qué lo pregunta)",
    "(perdone|disculpe|lo siento)",
    "(dios mío|madre mía|cállese|déjeme en paz|qué tontería)",
    "(es usted un robot|estoy hablando con una máquina)",
    "(qué hora es|qué tiempo hace|cuénteme un chiste)",
    "ignore [todas] [sus|las] instrucciones [anteriores]",
)
_LONGEST = 12


def spans(words: Sequence[str], language: str) -> list[tuple[int, int]]:
    """Where such a phrase begins and ends among the words, the longest from each place."""
    trie, firsts = _phrases(language[:2].lower())
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(words):
        end = _longest(trie, words, at) if words[at] in firsts else 0
        if end:
            found.append((at, end))
        at = end or at + 1
    return found


def is_all(words: Sequence[str], language: str) -> bool:
    """Whether nothing telling was said beside."""
    found = spans(words, language)
    rest = [word for i, word in enumerate(words) if not any(a <= i < b for a, b in found)]
    return bool(found) and all(word in STOP_WORDS or word in FILLERS for word in rest)


def _longest(trie: Trie[bool], words: Sequence[str], at: int) -> int:
    node, end = trie.root, 0
    for i in range(at, min(len(words), at + _LONGEST)):
        child = node.children.get(words[i])
        if child is None:
            break
        node = child
        end = i + 1 if node.meanings else end
    return end


@lru_cache(maxsize=8)
def _phrases(language: str) -> tuple[Trie[bool], frozenset[str]]:
    """The phrases, and the words that they begin with."""
    trie: Trie[bool] = Trie()
    for pattern in (*(_SPANISH if language == "es" else _ENGLISH), *answers(language)[2]):
        for words in expand(pattern):
            trie.add(words, True)
    return trie, frozenset(trie.root.children)
