"""Processors of vision-language models: which models are such, and loading without torchvision.

Where torchvision is installed, transformers loads the whole processor. Where it is not, transformers
has image processors on PIL, but no video processors, and refuses the whole processor because of that;
then the part for images and text is loaded alone. Nothing in this suite reads videos.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

VIDEO_FILE = "video_preprocessor_config.json"


def is_vision(source: str) -> bool:
    """Tell whether the model at ``source`` (a directory or a hub id) takes images and text, and gives text.

    A model without a readable config.json is none: what loads it next says what is wrong.
    """
    from transformers import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, AutoConfig

    try:
        config = AutoConfig.from_pretrained(source)
    except Exception:  # the libraries raise a dozen kinds for a missing or damaged file
        return False
    return type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and hasattr(config, "vision_config")


def takes_images(processing: Any) -> bool:
    """Tell whether ``processing`` is a processor of images and text, and not a tokenizer."""
    return hasattr(processing, "image_processor")


def text_tokenizer(processing: Any) -> Any:
    """Return the tokenizer of a processor, or the tokenizer itself."""
    return processing.tokenizer if takes_images(processing) else processing


def load_processor(source: str) -> Any:
    """Return the processor of a vision-language model, padding on the left; raises what transformers raises."""
    from transformers import AutoProcessor
    from transformers.utils import is_torchvision_available

    # TRL's rollouts need the left side for both: ids and token types would misalign otherwise (trl #5785).
    sides = {"padding_side": "left", "truncation_side": "left"}
    if is_torchvision_available():
        try:
            return AutoProcessor.from_pretrained(source, **sides)
        except OSError as error:  # a model that was saved without the settings of its video part
            if VIDEO_FILE not in str(error):
                raise
    return load_without_videos(source, sides)


def load_without_videos(source: str, arguments: dict[str, Any]) -> Any:
    """Return the processor at ``source`` without its video part, whose settings are kept for saving."""
    from transformers import PROCESSOR_MAPPING, AutoConfig, AutoProcessor
    from transformers.utils import cached_file

    whole = PROCESSOR_MAPPING.get(type(AutoConfig.from_pretrained(source)), None)
    if whole is None or "video_processor" not in inspect.signature(whole.__init__).parameters:
        return AutoProcessor.from_pretrained(source, **arguments)
    processor = without_videos(whole).from_pretrained(source, **arguments)
    file = cached_file(source, VIDEO_FILE, _raise_exceptions_for_missing_entries=False)
    processor.video_settings = Path(file).read_text(encoding="utf-8") if file else None
    return processor


def without_videos(whole: type[Any]) -> type[Any]:
    """Return a processor class like ``whole`` that neither needs nor has a video processor.

    It saves itself under the name of ``whole``, with the video settings that it was loaded with, so that
    other programs load the whole processor from the same directory.
    """

    class ImagesAndText(whole):
        # transformers reads the parts of a processor off this signature.
        def __init__(
            self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, **options: Any
        ) -> None:
            super().__init__(
                image_processor=image_processor, tokenizer=tokenizer, chat_template=chat_template, **options
            )
            self.video_settings: str | None = None

        def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
            """Save all parts, the video settings as they were."""
            settings, self.video_settings = self.video_settings, None  # no part of the processor's own file
            saved = super().save_pretrained(save_directory, *args, **kwargs)
            if settings is not None:
                (Path(save_directory) / VIDEO_FILE).write_text(settings, encoding="utf-8")
            self.video_settings = settings
            return saved

    ImagesAndText.__name__ = whole.__name__
    return ImagesAndText
