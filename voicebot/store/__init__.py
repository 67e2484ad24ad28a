"""What calls leave behind: the journal, stereo recordings, timelines."""
