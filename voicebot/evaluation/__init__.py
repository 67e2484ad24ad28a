"""What calls and models are worth: pictures of calls, error rates."""
