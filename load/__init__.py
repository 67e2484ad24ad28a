"""Load tests from outside: many calls at once, as Twilio would place them."""
