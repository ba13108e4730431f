"""OPD's trainer."""

from __future__ import annotations

from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.training.context import RunContext
from rlsd_cli.training.distillation import DistillationTrainer


def image_layout(model: Any) -> dict[str, Any]:
    """Return what a model's image inputs depend on: equal for models that can share them, empty for text models."""
    vision = getattr(model.config, "vision_config", None)
    names = ("patch_size", "temporal_patch_size", "spatial_merge_size", "image_size")
    layout = {name: getattr(vision, name) for name in names if hasattr(vision, name)}
    return {"image_token_id": model.config.image_token_id, **layout} if layout else {}


class OPDTrainer(DistillationTrainer):
    """Distillation from an external teacher."""

    def __init__(self, context: RunContext, **arguments: Any) -> None:
        from rlsd_cli.models.load import load_model

        settings = context.config
        if settings.teacher.model is None:
            raise UserError("opd needs a teacher: set teacher.model to a name, a directory or a hub id.")
        teacher = load_model(settings.model.model_copy(update={"path": settings.teacher.model}))
        ours, theirs = (model.config.get_text_config().vocab_size for model in (context.model, teacher))
        if ours != theirs:
            raise UserError(
                f"the teacher '{settings.teacher.model}' has {theirs} vocabulary entries and the student {ours}: "
                "choose a teacher with the student's vocabulary."
            )
        if context.dataset[0].get("images") and image_layout(teacher) != image_layout(context.model):
            raise UserError(
                f"the teacher '{settings.teacher.model}' does not read images as the student does "
                f"({image_layout(teacher)} against {image_layout(context.model)}): choose a teacher of its family."
            )
        super().__init__(context, external_teacher=teacher, **arguments)

    def privileged_texts(self, rows: list[dict[str, Any]]) -> list[str | None]:
        """Return empty texts: the teacher sees the student's prompt."""
        return [""] * len(rows)
