"""The open-book pass over images: against the model's own forward pass on each question alone."""

import json

import pytest
import torch
from PIL import Image
from trainers import one_batch

from rlsd_cli.config.run import ModelConfig
from rlsd_cli.generation.sample import encode_prompts, sample
from rlsd_cli.models.images import encode_chats, without_empty_images
from rlsd_cli.models.load import load_model
from rlsd_cli.tasks.messages import append_text, images_of, user_message
from rlsd_cli.training import probe
from rlsd_cli.training.head import head_of

pytestmark = pytest.mark.usefixtures("earns_rewards")


def chat_with(prompt, pictures):
    """Put pictures back into a prompt's placeholders, independently of TRL."""
    if not pictures:
        return prompt
    left = iter(pictures)
    return [
        {
            **turn,
            "content": [
                {"type": "image", "image": next(left)} if part["type"] == "image" else part for part in content
            ],
        }
        for turn, content in ((turn, turn["content"]) for turn in prompt)
    ]


def logps_alone(model, processor, chat, completion, temperature=1.0):
    """Return the log-probs (T,) of a completion after one chat: no padding, no batch, no cache."""
    text = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    images = list(images_of(chat))
    inputs = dict(processor(text=[text], images=[images] if images else None, return_tensors="pt"))
    ids = torch.cat([inputs.pop("input_ids"), completion.unsqueeze(0)], dim=1)
    types = torch.cat([inputs.pop("mm_token_type_ids"), torch.zeros_like(completion).unsqueeze(0)], dim=1)
    inputs["attention_mask"] = torch.ones_like(ids)
    with torch.no_grad():
        logits = model(input_ids=ids, mm_token_type_ids=types, **inputs).logits[0, -len(completion) - 1 : -1]
    return torch.log_softmax(logits.float() / temperature, dim=-1).gather(1, completion.unsqueeze(1)).squeeze(1)


def micro_batches(trainer, rows):
    """Return the micro-batches that the trainer makes of rows, with the row that each of their rows came from."""
    keep = trainer._generate_and_score_completions

    def numbered(inputs):
        output = keep(inputs)
        return {**output, "row": torch.arange(len(inputs))}

    trainer._generate_and_score_completions = numbered
    batches = []
    for step in range(trainer.args.steps_per_generation):
        trainer._step = step
        batches.append(without_empty_images(trainer._prepare_inputs(rows)))
    return batches


def first_rows(trainer):
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    return next(iter(trainer.get_train_dataloader()))


def expected_rows(trainer, batch, rows, model, prompt_of):
    """Yield (row in the batch, its completion's length, its log-probs from a pass of its own)."""
    for place, number in enumerate(batch["row"].tolist()):
        length = int(batch["completion_mask"][place].sum())
        completion = batch["completion_ids"][place, :length]
        chat = chat_with(prompt_of(rows[number], number), rows[number]["images"])
        yield place, length, logps_alone(model, trainer.processing_class, chat, completion, trainer.temperature)


@pytest.mark.parametrize("micro_batch", [2, 8])
def test_teachers_log_probs_equal_a_pass_over_the_teachers_chat_with_its_pictures(vl_trainer, micro_batch):
    trainer = vl_trainer("rlsd", {"train": {"micro_batch": micro_batch, "temperature": 0.8}})
    task, rows = trainer.context.task, first_rows(trainer)
    assert len({len(row["images"]) for row in rows}) == 2, "one question has two pictures"
    seen = []
    for batch in micro_batches(trainer, rows):
        got = trainer.passes.logps("teacher", batch)

        def opened(row, number):
            return task.teacher_prompt(row["prompt"], row["solution"])

        for place, length, expected in expected_rows(trainer, batch, rows, trainer.model, opened):
            torch.testing.assert_close(got[place, :length], expected, atol=2e-5, rtol=1e-4)
            seen.append(batch["row"][place].item())
    assert sorted(seen) == list(range(8))


@pytest.mark.parametrize("method", ["opsd", "opd", "sdpo"])
def test_hidden_states_of_each_kind_of_teacher_are_those_of_a_pass_with_the_pictures(vl_trainer, method):
    trainer = vl_trainer(method, {"train": {"micro_batch": 2}})
    rows = first_rows(trainer)
    batches = micro_batches(trainer, rows)
    teacher = trainer.teacher_of("teacher").model(trainer.model)
    texts, head = trainer.shown["teacher"], head_of(teacher)
    assert method == "opd" or any(texts)

    def opened(row, number):
        return trainer.context.task.teacher_prompt(row["prompt"], texts[number]) if texts[number] else row["prompt"]

    for batch in batches:
        hidden = trainer.passes.hidden("teacher", batch)
        logps = torch.log_softmax(head(hidden.flatten(0, 1)) / trainer.temperature, dim=-1).view(*hidden.shape[:2], -1)
        got = logps.gather(2, batch["completion_ids"].unsqueeze(2)).squeeze(2)
        for place, length, expected in expected_rows(trainer, batch, rows, teacher, opened):
            torch.testing.assert_close(got[place, :length], expected, atol=2e-5, rtol=1e-4)


def test_another_picture_changes_the_teachers_log_probs_of_its_own_question_only(vl_trainer):
    trainer = vl_trainer("rlsd", {"train": {"micro_batch": 8}})
    _, batch = one_batch(trainer)
    before = trainer.passes.logps("teacher", batch)
    pixels = batch["pixel_values"].clone()
    patches = int(batch["image_grid_thw"][: batch["num_images"][0]].prod(dim=1).sum())
    pixels[:patches] = -pixels[:patches]
    after = trainer.passes.logps("teacher", {**batch, "pixel_values": pixels})
    tokens = batch["completion_mask"].bool()
    assert (after - before)[0][tokens[0]].abs().max() > 1e-3
    torch.testing.assert_close(after[1:], before[1:])


def test_teachers_prompt_holds_the_students_pictures_and_the_reference(vl_trainer):
    trainer = vl_trainer("rlsd")
    rows, batch = one_batch(trainer)
    image_token = trainer.model.config.image_token_id
    tokenizer = trainer.processing_class.tokenizer
    for row, student, teacher in zip(rows, batch["prompt_ids"], batch["teacher_prompt_ids"], strict=True):
        assert (student == image_token).sum() == (teacher == image_token).sum() > 0
        assert row["solution"] in tokenizer.decode(teacher)
        assert row["solution"] not in tokenizer.decode(student)
    assert torch.equal(batch["teacher_mm_token_type_ids"].bool(), batch["teacher_prompt_ids"] == image_token)


def test_images_of_a_question_are_processed_once_for_all_its_rollouts(vl_trainer, monkeypatch):
    trainer = vl_trainer("rlsd")
    counts = []
    plain = trainer._tokenize_prompts
    monkeypatch.setattr(trainer, "_tokenize_prompts", lambda prompts: counts.append(len(prompts)) or plain(prompts))
    one_batch(trainer)
    assert counts[-1] == 2, "two questions, each with four rollouts and one reference"


def test_questions_that_share_their_id_and_answer_keep_their_own_pictures(vl_trainer, shapes):
    lines = [json.loads(line) for line in shapes.read_text().splitlines()]
    same = {"id": "same", "prompt": "How many?", "answer": "1", "solution": "One."}
    shapes.write_text("".join(json.dumps({**row, **same}) + "\n" for row in lines))
    trainer = vl_trainer("rlsd")
    _, batch = one_batch(trainer)
    tokens = (batch["teacher_prompt_ids"] == trainer.model.config.image_token_id).sum(dim=1)
    student = (batch["prompt_ids"] == trainer.model.config.image_token_id).sum(dim=1)
    assert len(set(student.tolist())) == 2, "pictures of different sizes"
    assert torch.equal(tokens, student)


def test_questions_without_pictures_are_scored_like_each_alone_right_after_one_with_a_picture(vl_trainer, shapes):
    lines = [json.loads(line) for line in shapes.read_text().splitlines()]
    shapes.write_text("".join(json.dumps({**row, "images": []}) + "\n" for row in lines))
    trainer = vl_trainer("rlsd", {"train": {"micro_batch": 8}})
    rows, teacher = first_rows(trainer), trainer.teacher_of("teacher").model(trainer.model)
    (batch,) = micro_batches(trainer, rows)
    assert "pixel_values" not in batch
    ids, mask, vision = encode_chats(
        trainer.processing_class, [[user_message("How many?", [Image.new("RGB", (32, 32))])]]
    )
    teacher(input_ids=ids, attention_mask=mask, **vision.inputs())  # Qwen-VL remembers positions of its last batch
    got = trainer.passes.logps("teacher", batch)

    def opened(row, number):
        return trainer.context.task.teacher_prompt(row["prompt"], row["solution"])

    for place, length, expected in expected_rows(trainer, batch, rows, teacher, opened):
        torch.testing.assert_close(got[place, :length], expected, atol=2e-5, rtol=1e-4)


def test_micro_batches_do_not_change_the_gradient(vl_trainer):
    def gradient(size):
        trainer = vl_trainer("grpo_opsd", {"train": {"micro_batch": size, "steps": 1}}, folder=f"micro-{size}")
        trainer.train()
        line = next(line for line in trainer.state.log_history if "loss" in line)
        return line["loss"], line["grad_norm"]

    assert gradient(2) == pytest.approx(gradient(8), rel=1e-4)


def test_the_probes_evidence_is_the_difference_of_two_passes_with_the_pictures(vl_trainer, vl_model, monkeypatch):
    monkeypatch.setattr(probe, "ROWS_PER_PASS", 3)
    context = vl_trainer("rlsd").context
    model, processor = load_model(ModelConfig(path=str(vl_model))).eval(), context.tokenizer
    examples = [context.task.train_example(0, index) for index in range(5)]
    prompts = [example.prompt for example in examples]
    opened = [context.task.teacher_prompt(example.prompt, example.solution) for example in examples]
    samples = sample(model, processor, prompts, max_new_tokens=6)
    scores = probe.score(model, samples, *encode_prompts(processor, opened), temperature=1.0)
    for row, (closed, open_book) in enumerate(zip(prompts, opened, strict=True)):
        length = int(samples.completion_mask[row].sum())
        completion = samples.completion_ids[row, :length]
        gain = logps_alone(model, processor, open_book, completion) - logps_alone(model, processor, closed, completion)
        torch.testing.assert_close(scores.delta[row, :length], gain, atol=4e-5, rtol=1e-4)


def test_text_after_the_pictures_is_all_that_a_teachers_prompt_adds():
    prompt = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How many?"}]}]
    assert append_text(prompt, "Hint")[0]["content"][:2] == prompt[0]["content"]
