"""Any Pipecat LLM service as the language model of a dialplan's `llm` forms."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from voicebot.errors import ServiceFailed
from voicebot.events import AskModel, ModelMessage

if TYPE_CHECKING:
    from pipecat.services.llm_service import LLMService

MAX_TOKENS = 500
_ROLES = {"caller": "user", "bot": "assistant", "tool": "user"}
_NAMES = {"caller": "caller_said", "tool": "tool_answered"}


class LanguageModel:
    """One service for all calls: each question is an inference of its own."""

    def __init__(self, make: Callable[[], LLMService[Any]]) -> None:
        self._service = make()

    async def ask(self, ask: AskModel) -> str:
        """The model's reply, unchecked. Raises ServiceFailed, in one line, whatever goes wrong."""
        from pipecat.processors.aggregators.llm_context import LLMContext

        context = LLMContext([_message(message) for message in ask.messages])
        try:
            text = await self._service.run_inference(
                context,
                max_tokens=MAX_TOKENS,
                system_instruction=ask.instructions,
                response_schema=dict(ask.schema),
            )
        except Exception as error:  # providers raise what they like
            line = str(error).partition("\n")[0][:200]
            raise ServiceFailed(f"language model: {type(error).__name__}: {line}") from error
        if not text:
            raise ServiceFailed("language model: empty reply")
        return text


def _message(message: ModelMessage) -> Any:
    """What others said is wrapped as data, so that it does not read as instructions."""
    name = _NAMES.get(message.role)
    content = json.dumps({name: message.text}, ensure_ascii=False) if name else message.text
    return {"role": _ROLES[message.role], "content": content}
