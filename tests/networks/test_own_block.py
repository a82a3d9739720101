"""A user's own block is its content and its options; a file that is wrong is one sentence with its line."""

import dataclasses
import json
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

import netspace as ns
from netspace.errors import OwnBlockError, SpaceError, SpecError
from netspace.networks.complexity import MEASURES, complexity, parts
from netspace.networks.own_block import load
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.networks.zoo import network
from netspace.spaces.declaration import LawChoice, SpaceDeclaration
from netspace.spaces.laws import Choice, LogUniform, Uniform
from netspace.spaces.parameters import Parameter
from netspace.spaces.space import DesignSpace
from tests.own_blocks import CONVNEXT, MIXER, SMALL, changed

STAGES = (Stage(depth=2, width=8), Stage(depth=1, width=12))
DEPTH = Parameter(name="depth", law=Uniform(low=1, high=3))
WIDTH = Parameter(name="width", law=LogUniform(low=8, high=64, step=8))


@pytest.fixture
def write(tmp_path):
    def block_file(text=SMALL, name="block.py"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return block_file


def spec_of(own, **fields):
    return NetworkSpec(**{"block": "own", "own_block": own, "stages": STAGES, "num_classes": 10} | fields)


def test_a_block_is_its_content_and_its_options_wherever_it_lies(write):
    block = ns.OwnBlock.of(write())
    moved = ns.OwnBlock.of(write(name="elsewhere.py"))
    edited = ns.OwnBlock.of(write(SMALL + "# edited\n", name="edited.py"))
    assert block.file != moved.file
    assert block == moved
    assert spec_of(block).digest == spec_of(moved).digest
    assert len({spec_of(block), spec_of(moved), spec_of(edited)}) == 2
    digests = {spec_of(other).digest for other in (block, edited, ns.OwnBlock.of(block.file, kernel_size=3))}
    assert len(digests) == 3
    assert ns.OwnBlock.of(block.file, kernel_size=3.0) == ns.OwnBlock.of(block.file, kernel_size=3)


def test_digests_of_networks_without_own_blocks_stay_as_they_were():
    assert network("regnetx32").digest.startswith("64ee5c1e")


def test_a_spec_comes_back_from_plain_data_and_from_a_pickle(write):
    spec = spec_of(ns.OwnBlock.of(write(), kernel_size=3))
    plain = json.loads(json.dumps(spec.to_dict()))
    assert plain["own_block"]["file"] == str(write())
    for again in (NetworkSpec.from_dict(plain), pickle.loads(pickle.dumps(spec))):
        assert again == spec
        assert again.digest == spec.digest
        assert complexity(again, 32) == complexity(spec, 32)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"own_block": None}, "own_block: missing; block 'own' needs the file that has it"),
        ({"block": "mlp"}, "own_block must be left out for block 'mlp'; it is for 'own'"),
        ({"block": "ow"}, r"block \(='ow'\) must be one of x, z, basic, mlp, own; did you mean 'own'"),
        ({"residual": False}, r"residual \(=False\) is for the blocks x, z, basic, mlp; leave it out"),
        ({"stochastic_depth": 0.1}, r"stochastic_depth \(=0.1\) is for the blocks"),
        ({"zero_init_last": True}, r"zero_init_last \(=True\) is for the blocks"),
        ({"se_ratio": 0.25}, r"se_ratio \(=0.25\) is for the blocks x and z"),
    ],
    ids=str,
)
def test_a_frame_has_an_own_block_if_and_only_if_it_says_so(write, fields, sentence):
    with pytest.raises(SpecError, match=sentence):
        spec_of(ns.OwnBlock.of(write()), **fields)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kernel_size": float("nan")}, r"options.kernel_size \(=nan\) must be a finite number"),
        ({"kernel_size": True}, r"options.kernel_size \(=True\) must be a finite number"),
        ({"width": 3}, r"options.width: must be another name"),
        ({"kernel_sise": 3}, "cost has no option 'kernel_sise'; did you mean 'kernel_size'"),
    ],
    ids=str,
)
def test_wrong_options(write, options, sentence):
    with pytest.raises(OwnBlockError, match=sentence):
        ns.OwnBlock.of(write(), **options)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (changed("    weights = kernel", "   weights = kernel"), "line 8: reading failed with IndentationError"),
        ("def cost(:", "line 1: reading failed with SyntaxError: invalid syntax"),
        ("x = 1 / 0", "line 1: reading failed with ZeroDivisionError: division by zero"),
        ("\nraise SystemExit(3)", "line 2: reading failed with SystemExit: 3"),
        ("\x00", "reading failed with"),
        ("import torch\n" + SMALL, "line 1: torch must be imported inside build"),
        ("try:\n    from torch.nn import Module\nfinally:\n    pass", "line 2: torch.nn must be imported inside build"),
        (changed("def build(", "def built("), r"must define the function build\("),
        (changed("def cost(", "cost = 3\ndef costs("), r"must define the function cost\("),
        (changed("stride, in_side,", "stride,"), "cost must take the keywords in_width, width, stride, in_side, out_s"),
        (changed("width, stride, kernel_size=1", "width, kernel_size=1"), "build must take the keywords in_width, wid"),
        (
            changed("width, stride, kernel_size=1", "width, stride, kernel_size"),
            "missing a required arg.*'kernel_size'",
        ),
    ],
    ids=range(12),
)
def test_a_file_that_cannot_be_used(write, text, sentence):
    with pytest.raises(OwnBlockError, match=sentence) as caught:
        ns.OwnBlock.of(write(text))
    assert str(caught.value).startswith(f"own block '{write(text)}'")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (changed("out_side**2,\n        params", "out_site**2,\n        params"), "line 9: cost failed with NameError"),
        (changed("    return Complexity(", "    return dict("), "cost must return a Complexity, not a dict"),
        (changed("kernel_size**2 *", "kernel_size**0.5 *"), "the flops that cost returns must be whole numbers of sh"),
    ],
    ids=range(3),
)
def test_a_cost_that_fails(write, text, sentence):
    block = ns.OwnBlock.of(write(text))
    with pytest.raises(OwnBlockError, match=sentence):
        complexity(spec_of(block), 32)


def test_a_framework_may_be_imported_for_types_alone(write):
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from torch import nn\n" + SMALL
    load(ns.OwnBlock.of(write(text)))


def test_a_file_that_is_missing_or_has_changed_is_refused(write, tmp_path):
    with pytest.raises(OwnBlockError, match=r"none.py' cannot be read \(No such file or directory\)"):
        ns.OwnBlock.of(tmp_path / "none.py")
    block = ns.OwnBlock.of(write())
    edited = ns.OwnBlock.of(write(SMALL + "# edited\n"))
    load.cache_clear()
    with pytest.raises(OwnBlockError, match=f"must be {block.digest}, and is {edited.digest}"):
        complexity(spec_of(block), 32)
    with pytest.raises(OwnBlockError, match=r"own_block.digest: missing; OwnBlock.of\(file\) gives both"):
        complexity(spec_of(ns.OwnBlock(file=block.file)), 32)
    with pytest.raises(OwnBlockError, match=r"own_block\.file: missing"):
        ns.OwnBlock(digest=block.digest).found()


@pytest.mark.parametrize("file", [CONVNEXT, MIXER], ids=lambda file: file.stem)
def test_one_arithmetic_for_one_network_and_for_many(file):
    options = {"tokens": 256} if file is MIXER else {}
    space = DesignSpace(
        name="mine",
        block="own",
        own_block=ns.OwnBlock.of(file, **options),
        parameters=(DEPTH, WIDTH),
        num_stages=3,
        stride=1 if options else 2,
        stem=Stem(width=16),
    )
    networks = space.draw(0, 50).networks
    columns = complexity(networks, 32)
    for i in range(50):
        assert complexity(networks[i], 32) == ns.Complexity(**{m: getattr(columns, m)[i] for m in MEASURES})
    taken = space.sample(3, resolution=32, flops=(1e6, 5e6))
    assert all(1e6 <= complexity(one, 32).flops <= 5e6 for one in taken.networks)
    assert all(space.contains(one) for one in taken.networks)
    assert space.contains(dataclasses.replace(taken.networks[0], num_classes=5)).reason.startswith("num_classes is 5")


def test_the_published_convnext_and_mixer():
    """Source: 28.6 M params and 4.5 G multiply-adds (ConvNeXt-T), 59.9 M and 12.6 G (Mixer-B/16): torchvision, timm.

    Our stem and head have a batch norm and no bias where theirs have a layer norm, and a bias, and one norm more.
    """
    convnext = NetworkSpec(
        block="own",
        own_block=ns.OwnBlock.of(CONVNEXT),
        stem=Stem(width=96, kernel_size=4, stride=4, patchify=True),
        stages=tuple(
            Stage(depth=d, width=w, stride=s)
            for d, w, s in zip((3, 3, 9, 3), (96, 192, 384, 768), (1, 2, 2, 2), strict=True)
        ),
    )
    mixer = NetworkSpec(
        block="own",
        own_block=ns.OwnBlock.of(MIXER, tokens=196),
        stem=Stem(width=768, kernel_size=16, stride=16, patchify=True),
        stages=(Stage(depth=12, width=768, stride=1),),
    )
    assert complexity(convnext).params == 28_589_128 - 96 - 2 * 768
    assert complexity(mixer).params == 59_880_472 - 2 * 768 + 768
    assert round(complexity(convnext).flops / 1e9, 1) == 4.5
    assert round(complexity(mixer).flops / 1e9, 1) == 12.6
    assert sum(part.complexity.params for part in parts(convnext)) == complexity(convnext).params
    with pytest.raises(OwnBlockError, match=r"mixer.py', line \d+: cost failed with .* tokens \(=196\) must be 256"):
        complexity(mixer, 256)


RATIO = SMALL.replace("stride, in_side", "stride, bottleneck_ratio, in_side").replace(
    "width, stride, kernel", "width, stride, bottleneck_ratio, kernel"
)


def test_a_ratio_of_the_stages_reaches_a_block_that_names_it_and_no_other(write):
    stages = (Stage(depth=1, width=8, bottleneck_ratio=2.0),)
    text = RATIO.replace("    weights =", "    assert bottleneck_ratio == 2.0\n    weights =")
    complexity(spec_of(ns.OwnBlock.of(write(text)), stages=stages), 32)
    with pytest.raises(OwnBlockError, match=r"bottleneck_ratio \(=2\) must be left out, for cost names no such"):
        complexity(spec_of(ns.OwnBlock.of(write()), stages=stages), 32)
    ratio = Parameter(name="bottleneck_ratio", law=Choice(options=(1.0, 2.0)))
    for source in (SMALL, RATIO):
        space = DesignSpace(
            name="mine", block="own", own_block=ns.OwnBlock.of(write(source)), parameters=(DEPTH, WIDTH, ratio)
        )
        if source is RATIO:
            assert len({s.bottleneck_ratio for n in space.sample(9).networks for s in n.stages}) == 2
        else:
            with pytest.raises(OwnBlockError, match=r"bottleneck_ratio \(=2\) must be left out"):
                space.sample(9)


def test_a_cost_cannot_write_into_the_networks(write):
    text = changed("    weights = kernel", "    width //= 1\n    weights = kernel")
    space = DesignSpace(name="mine", block="own", own_block=ns.OwnBlock.of(write(text)), parameters=(DEPTH, WIDTH))
    with pytest.raises(OwnBlockError, match=r"line 7: cost failed with .*read-only"):
        space.sample(1)


def test_a_cost_beyond_64_bits_is_refused_where_arrays_would_wrap_around(write):
    text = changed("kernel_size**2 *", "10**13 * kernel_size**2 *")
    space = DesignSpace(name="mine", block="own", own_block=ns.OwnBlock.of(write(text)), parameters=(DEPTH, WIDTH))
    with pytest.raises(SpecError, match="cost more than 64-bit arithmetic can count"):
        space.sample(1)
    exact = complexity(spec_of(ns.OwnBlock.of(write(text))), 32)
    assert exact.flops > 10**13 * 8


def declaration(**fields):
    laws = {name: LawChoice(law="uniform", low=8, high=16, step=8) for name in ("depth", "width")}
    return SpaceDeclaration(**{"name": "mine", "parameters": laws} | fields)


def test_a_declared_space_finds_its_file_beside_the_study(write):
    frame = {"block": "own", "own_block": {"file": write().name, "options": {"kernel_size": 3}}}
    declared = declaration(frame=frame, stride=1)
    assert declared.base().own_block.digest == ""
    made = declared.found(write().parent).design_space()
    assert made.own_block == ns.OwnBlock.of(write(), kernel_size=3)
    assert made.stride == 1
    with pytest.raises(OwnBlockError, match=r"block\.py' cannot be read"):
        declared.found("nowhere")
    assert declaration().found("nowhere") == declaration()
    with pytest.raises(SpaceError, match=r"frame\.own_block\.fil: unknown key; did you mean 'file'"):
        declaration(frame={"block": "own", "own_block": {"fil": "x"}})


def test_a_network_file_names_its_block_beside_itself(write, tmp_path):
    spec = spec_of(ns.OwnBlock.of(write()))
    plain = spec.to_dict()
    plain["own_block"]["file"] = "block.py"
    (tmp_path / "mine.json").write_text(json.dumps(plain))

    def show(*words):
        command = [sys.executable, "-m", "netspace", *words, "show", str(tmp_path / "mine.json"), "--json"]
        return subprocess.run(command, capture_output=True, text=True)

    assert json.loads(show().stdout)["params"] == complexity(spec).params
    shutil.copy(CONVNEXT, tmp_path / "block.py")
    done = show()
    assert done.returncode == 2
    assert "has changed: its digest must be" in done.stderr
    assert "Traceback" not in done.stderr
    del plain["own_block"]["digest"]
    write("def cost(**sizes):\n    return 1 / 0\ndef build(**sizes):\n    pass\n")
    (tmp_path / "mine.json").write_text(json.dumps(plain))
    assert f"own block '{tmp_path / 'block.py'}', line 2: cost failed" in show().stderr
    assert "Traceback" in show("--debug").stderr


def test_numpy_numbers_become_integers(write):
    text = changed("weights = kernel", "weights = np.int64(1) * kernel").replace(
        "from netspace", "import numpy as np\nfrom netspace"
    )
    total = complexity(spec_of(ns.OwnBlock.of(write(text))), 32)
    assert all(type(getattr(total, measure)) is int for measure in MEASURES)
    assert not isinstance(total.flops, np.integer)
