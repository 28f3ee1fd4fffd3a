"""Names mean layers: of every block, of some, or one; what means none is answered with what there is."""

import pytest

from llmlora.errors import UnknownTarget
from llmlora.gguf.architectures import ARCHITECTURES
from llmlora.model.targets import in_blocks, peft_names, targets_of

AVAILABLE = in_blocks(ARCHITECTURES["llama"].modules, 12)


def named(block: int, name: str) -> str:
    return f"model.layers.{block}.{'self_attn' if name in ('q_proj', 'v_proj') else 'mlp'}.{name}"


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["all-linear"], AVAILABLE),
        (["v_proj"], [named(block, "v_proj") for block in range(12)]),
        (["self_attn.v_proj"], [named(block, "v_proj") for block in range(12)]),
        (["model.layers.1.mlp.up_proj"], [named(1, "up_proj")]),
        (["layers.1.up_proj"], [named(1, "up_proj")]),  # not of block 11
        (["layers.9-10.mlp.up_proj"], [named(9, "up_proj"), named(10, "up_proj")]),
        (["layers.4"], [module for module in AVAILABLE if ".4." in module]),
        (["layers.0-11"], AVAILABLE),
        (["layers.0-1.q_proj", "layers.1.v_proj"], [named(0, "q_proj"), named(1, "q_proj"), named(1, "v_proj")]),
        (["layers.2.q_proj", "q_proj"], [named(block, "q_proj") for block in range(12)]),
    ],
)
def test_names_mean_layers_in_the_order_of_the_model(names, wanted):
    assert targets_of(names, AVAILABLE) == wanted


@pytest.mark.parametrize(
    "name",
    [
        *("w_pack", "proj", "model", "", "q_proj.", ".*_proj", "q_proj|v_proj"),
        *(
            "layers.12.q_proj",
            "layers.0-12",
            "layers.5-3",
            "layers.-1",
            "layers.0-",
            "layers.0.w_pack",
            "layers.9999999",
        ),
    ],
)
def test_a_name_that_means_nothing_is_answered_with_what_there_is(name):
    with pytest.raises(UnknownTarget) as caught:
        targets_of(["q_proj", name], AVAILABLE)

    assert caught.value.targets == [name]
    told = caught.value.message() + caught.value.hint()
    assert all(part in told for part in ("all-linear", "q_proj", "down_proj", "layers.11", "layers.0-5.q_proj"))


def test_peft_is_told_the_short_name_where_every_such_layer_is_meant():
    targets = targets_of(["layers.0-1.q_proj", "v_proj"], AVAILABLE)

    assert set(peft_names(targets, AVAILABLE)) == {named(0, "q_proj"), named(1, "q_proj"), "v_proj"}
    assert peft_names(AVAILABLE, AVAILABLE) == [linear.target for linear in ARCHITECTURES["llama"].linears]
