"""Yes and no in all their forms, as phrase patterns."""

YES = (
    "(yes|yeah|yep|yup|yah|ya|yea|aye) [please|sir|ma'am|indeed|of course|it is|i do|that's right|"
    "that's correct|i am|definitely]",
    "(sure|sure thing|of course|certainly|definitely|absolutely|indeed|exactly|affirmative)",
    "(that's|that is|it's|it is|this is|you're|you are|all|perfectly|quite) "
    "(right|correct|true|fine|good|it|perfect|exactly right|okay)",
    "(correct|right|true|okay|ok|fine|perfect|alright|all right|great|confirmed|confirm|agreed)",
    "(uh huh|mm hmm|mhm|uhuh|mmhmm|u-huh|aha|mm-hm)",
    "(sounds|looks) (good|right|great|fine|correct)",
    "(go ahead|please do|i do|i would|i am|it is|it does|by all means|you got it|do it|why not)",
    "i (think|believe|guess|suppose) so",
    "you bet",
)
NO = (
    "(no|nope|nah|naw|nay|never|negative) [thanks|thank you|sir|ma'am|please|not really|it isn't|"
    "it's not|it is not|i don't|i do not|that's wrong|that's not right|that is wrong|way]",
    "not (really|at all|quite|exactly|correct|right|true|yet|now|today|that|this time|"
    "at the moment)",
    "(that's|that is|it's|it is|this is) (wrong|incorrect|not right|not correct|not it|not true|"
    "not what i (said|want|wanted)|false)",
    "(that|it|this) (isn't|is not|wasn't|ain't) (right|correct|it|true|what i (said|want|wanted))",
    "(wrong|incorrect|false)",
    "(uh uh|nuh uh|mm mm)",
    "i (don't|do not) (think|believe) so",
    "(i (don't|do not|wouldn't|would not)|it isn't|it is not|it doesn't|please don't|don't)",
    "of course not",
    "(absolutely|definitely|certainly) not",
    "i'd rather not",
)
