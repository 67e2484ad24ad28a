"""Text to telephone speech: values as words, an embedded voice, prompts rendered once and kept."""
