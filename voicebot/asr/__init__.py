"""Speech recognition: 16 kHz audio in, `Hypothesis` out.

    wheel -> checkpoint -> moonshine -> decoder -> confidence -> recogniser;  stream

`recogniser.Recogniser` is what the engine calls; `stream.LocalAgreement` turns successive
partials of one utterance into a stable prefix.
"""
