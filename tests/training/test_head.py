"""The rest of a model after its backbone: whatever its family does to the logits, we do."""

import pytest
import torch
import transformers

from rlsd_cli.training.head import head_of, last_hidden_states

TINY = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# What each does to `lm_head(hidden)`.
FAMILIES = {
    "Qwen3": {},
    "Llama": {},
    "Gemma2": {"final_logit_softcapping": 0.05},  # tanh
    "Cohere": {"logit_scale": 0.3},  # a factor
    "Granite": {"logits_scaling": 7.0},  # a divisor
    "FalconH1": {
        "lm_head_multiplier": 0.4,
        "mamba_d_ssm": 16,
        "mamba_n_heads": 2,
        "mamba_d_head": 8,
    },  # a factor kept in the backbone
    "GPTNeoX": {},  # its backbone and its head have other names
    "GPT2": {"n_embd": 16, "n_layer": 1, "n_head": 2},
    "Phi": {},  # a bias
    "Qwen3Moe": {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 8},
}


def model_of(family):
    config_class = getattr(transformers, f"{family}Config", None)
    model_class = getattr(transformers, f"{family}LMHeadModel", None) or getattr(
        transformers, f"{family}ForCausalLM", None
    )
    if config_class is None or model_class is None:
        pytest.skip(f"this transformers has no {family}")
    torch.manual_seed(0)
    model = model_class(config_class(**{**TINY, **FAMILIES[family]})).eval()
    with torch.no_grad():  # a bias or scale of zero or one would hide that it was forgotten
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_from_hidden_states_are_the_models_own(family):
    model = model_of(family)
    ids = torch.randint(3, 40, (2, 5))
    with torch.no_grad(), last_hidden_states(model) as captured:
        expected = model(input_ids=ids).logits
        got = head_of(model)(captured[0].flatten(0, 1)).view_as(expected)
    assert torch.equal(got, expected.float())


@pytest.mark.parametrize("family", ["Gemma2", "Cohere", "Granite"])
def test_these_families_do_more_than_multiply_by_the_output_layer(family):
    """The control: for them a bare output layer is not enough, so the test above can fail."""
    model = model_of(family)
    ids = torch.randint(3, 40, (2, 5))
    with torch.no_grad(), last_hidden_states(model) as captured:
        expected = model(input_ids=ids).logits
        assert not torch.allclose(model.get_output_embeddings()(captured[0]), expected, atol=1e-3)


def test_the_gradient_reaches_hidden_states_and_the_output_layer_and_the_backbone_is_put_back():
    model = model_of("Cohere")
    backbone = model.model
    hidden = torch.randn(3, 16, requires_grad=True)
    head_of(model)(hidden).square().sum().backward()
    assert hidden.grad.abs().sum() > 0
    assert model.get_output_embeddings().weight.grad.abs().sum() > 0
    assert model.model is backbone
