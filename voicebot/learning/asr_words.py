"""Word lists behind `asr_phrases`. "@" is what a frame is filled with."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


LETTER_NAMES = {
    # So that a voice says the letter "A", not the article.
    "A": "ay", "B": "bee", "C": "cee", "D": "dee", "E": "ee", "F": "eff", "G": "gee",
    "H": "aitch", "I": "eye", "J": "jay", "K": "kay", "L": "ell", "M": "em", "N": "en",
    "O": "oh", "P": "pee", "Q": "queue", "R": "are", "S": "ess", "T": "tee", "U": "you",
    "V": "vee", "W": "double you", "X": "ex", "Y": "why", "Z": "zee",
}  # fmt: skip
SPELLING = {
    "A": ["alpha", "apple", "Adam"], "B": ["bravo", "boy", "Bob"], "C": ["Charlie", "cat"],
    "D": ["delta", "dog", "David"], "E": ["echo", "easy", "Edward"], "F": ["foxtrot", "Frank"],
    "G": ["golf", "George"], "H": ["hotel", "Henry", "house"], "I": ["India", "ice", "Isaac"],
    "J": ["Juliet", "John"], "K": ["kilo", "king"], "L": ["Lima", "Larry", "love"],
    "M": ["Mike", "Mary", "mother"], "N": ["November", "Nancy"], "O": ["Oscar", "ocean"],
    "P": ["papa", "Peter"], "Q": ["Quebec", "queen"], "R": ["Romeo", "Robert"],
    "S": ["sierra", "Sam", "sugar"], "T": ["tango", "Tom"], "U": ["uniform", "uncle"],
    "V": ["Victor", "Vincent"], "W": ["whiskey", "William"], "X": ["x-ray"],
    "Y": ["Yankee", "yellow"], "Z": ["Zulu", "zebra"],
}  # fmt: skip
MONTHS = _words(
    "January February March April May June July August September October November December"
)
DAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
CURRENCIES = ["dollars", "dollars", "euros", "pounds"]
DIGIT_CARRIERS = [
    "my account number is @", "it's @", "the code is @", "@ please", "my PIN is @",
    "call me back at @", "the number is @", "card ending in @", "that's @", "extension @",
]  # fmt: skip
AMOUNT_CARRIERS = [
    "transfer @ to my savings account", "I'd like to pay @", "about @", "send @ to John",
    "I want to withdraw @", "the amount is @", "a table for @",
]  # fmt: skip
DATE_CARRIERS = [
    "my date of birth is @", "I was born on @", "on @", "can we make it @?", "from @",
    "how about @?", "I need an appointment on @", "since @",
]  # fmt: skip
NAME_CARRIERS = [
    "my name is @", "this is @", "I'd like to speak to @", "it's @", "call @", "please get me @",
    "transfer me to @", "can I talk to @?", "@ speaking", "@ please",
]  # fmt: skip
ANSWERS = [
    "yes", "no", "yes", "no", "yeah", "nope", "yep", "yes please", "no thanks", "no thank you",
    "that's right", "that's correct", "correct", "wrong", "that's wrong", "not quite", "sure",
    "okay", "all right", "of course", "I don't know", "maybe", "help", "operator", "agent",
    "representative", "repeat that", "say that again please", "start over", "go back", "cancel",
    "stop", "wait a minute", "hold on", "goodbye", "hello", "main menu", "none of them", "both",
    "the first one", "the second one", "the last one", "the other one", "something else",
    "I want to talk to a person", "can you repeat that?", "what did you say?", "no, that's not it",
    "yes, that's it", "thank you", "thanks, bye", "continue", "skip", "next", "previous", "done",
]  # fmt: skip
DRINKS = [
    "coffee", "house coffee", "drip coffee", "iced coffee", "espresso", "americano", "latte",
    "cappuccino", "mocha", "iced mocha", "caffe americano", "caffe latte", "caffe mocha",
]  # fmt: skip
SIZES = [
    "small", "medium", "large", "eight ounce", "twelve ounce", "sixteen ounce", "twenty ounce",
]  # fmt: skip
ROASTS = ["light roast", "medium roast", "dark roast"]
SHOTS = ["single shot", "double shot", "triple shot"]
AMOUNTS = ["", "", "some ", "a bit of ", "a little bit of ", "a lot of ", "lots of "]
MILKS = ["milk", "skim milk", "whole milk", "soy milk", "almond milk", "cream", "soy"]
SUGARS = ["sugar", "brown sugar", "sweetener"]
ORDER_CARRIERS = [
    "can I have @", "can I get @", "could I have @", "may I have @", "could I please have @",
    "I'd like @", "I would like @", "I want @", "I'll have @", "give me @", "get me @",
    "make me @", "brew me @", "brew @", "can you make me @", "could you get me @", "bring me @",
    "please make me @", "let me have @", "order @", "gimme @", "@",
]  # fmt: skip
FIRST_NAMES = _words(
    "James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara "
    "Richard Susan Joseph Jessica Thomas Sarah Charles Karen Christopher Lisa Daniel Nancy "
    "Matthew Betty Anthony Sandra Mark Margaret Donald Ashley Steven Kimberly Andrew Emily Paul "
    "Donna Joshua Michelle Kenneth Carol Kevin Amanda Brian Melissa George Deborah Timothy "
    "Stephanie Ronald Rebecca Jason Sharon Edward Laura Jeffrey Cynthia Ryan Dorothy Jacob Amy "
    "Gary Kathleen Nicholas Angela Eric Shirley Jonathan Emma Stephen Brenda Larry Pamela Justin "
    "Nicole Scott Anna Brandon Samantha Benjamin Katherine Samuel Christine Gregory Helen "
    "Alexander Debra Patrick Rachel Frank Carolyn Raymond Janet Jack Maria Dennis Olivia Jerry "
    "Heather Tyler Diane Aaron Julie Jose Joyce Adam Victoria Nathan Ruth Henry Virginia Priya "
    "Rahul Anil Sanjay Wei Mei Chen Ahmed Fatima Carlos Miguel Lucia Ivan Olga Giovanni Pierre"
)
LAST_NAMES = _words(
    "Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez "
    "Gonzalez Wilson Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris "
    "Sanchez Clark Ramirez Lewis Robinson Walker Young Allen King Wright Scott Torres Nguyen Hill "
    "Flores Green Adams Nelson Baker Hall Rivera Campbell Mitchell Carter Roberts Gomez Phillips "
    "Evans Turner Diaz Parker Cruz Edwards Collins Reyes Stewart Morris Morales Murphy Cook Rogers "
    "Gutierrez Ortiz Morgan Cooper Peterson Bailey Reed Kelly Howard Ramos Kim Cox Ward Richardson "
    "Watson Brooks Chavez Wood James Bennett Gray Mendoza Ruiz Hughes Price Alvarez Castillo "
    "Sanders Patel Myers Long Ross Foster Jimenez Powell Jenkins Perry Russell Sullivan Bell "
    "Coleman Butler Henderson Barnes Fisher Vasquez Simmons Graham Murray Ford Castro Marshall "
    "Owens Harrison Fernandez Wallace Woods Singh Kumar Sharma Gupta Khan Chang Wong Yamamoto "
    "Schmidt Fischer Weber Kowalski Novak Rossi Dubois Larsen Petrov"
)
REQUESTS = [
    "I would like to know my account balance.", "I lost my card, please block it.",
    "How do I change my PIN?", "What are your opening hours?", "I want to open a savings account.",
    "Why was I charged twice?", "Please transfer money to my daughter.",
    "My payment did not go through.", "When will my new card arrive?",
    "I'd like to book a table for two.", "Can I speak to somebody about a mortgage?",
]  # fmt: skip
FRAMES = [
    "the @ of the @ was @", "I think the @ is very @", "he said that @ and @ are the same",
    "we saw a @ near the @", "she gave him the @ and the @", "there is no @ in the @",
    "have you ever heard of @ @?", "they @ the @ every day", "it was @, but not @",
    "please write @, @ and @", "do you know what @ means?", "my @ would like a @",
    "when the @ came, everybody was @", "this @ costs more than that @", "what a @ @",
    "you can @ or @ it", "a @ @ stood before the house", "the word is @",
    "nobody wanted to @ the @",
    "after the @ we went to the @", "in the @ they found @ and @", "why is the @ so @?",
    "I had never seen such a @", "some @ are @, others are @", "@ is what I asked for",
]  # fmt: skip
