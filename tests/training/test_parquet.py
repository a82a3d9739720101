import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from netspace.errors import DataError
from netspace.training.data import DataChoice, load
from tests.training.conftest import alternating, png, write_table


def choice(path, options="", **fields):
    return DataChoice(name=f"parquet:{path}{options}", **{"resolution": 4, **fields})


def shades(part):
    return part.images[:, 0, 0, 0].tolist()


@pytest.fixture
def hub_like(tmp_path):
    """A folder as the Hub has it: training in two files, test in one."""
    write_table(tmp_path / "set" / "data" / "train-00000-of-00002.parquet", alternating(14))
    write_table(tmp_path / "set" / "data" / "train-00001-of-00002.parquet", alternating(10), start=50)
    write_table(tmp_path / "set" / "data" / "test-00000-of-00001.parquet", alternating(4), start=100)
    return tmp_path / "set"


class TestRead:
    def test_one_file_is_unsplit(self, tmp_path):
        path = write_table(tmp_path / "test.parquet", alternating(36))
        data = load(choice(path))
        assert data.class_names == ("cats", "dogs")
        assert [len(part) for part in (data.training, data.validation, data.test)] == [25, 5, 6]
        for part in (data.training, data.validation, data.test):
            assert np.array_equal(part.labels, np.array(shades(part)) % 2)
        assert data.training.images.shape[1:] == (4, 4, 3)

    def test_splits_by_the_names_of_files(self, hub_like):
        data = load(choice(hub_like))
        assert shades(data.test) == [100, 101, 102, 103]
        assert sorted(shades(data.training) + shades(data.validation)) == [*range(14), *range(50, 60)]
        assert data.notes == ()

    @pytest.mark.parametrize("validation", ["validation", "valid", "val", "dev"])
    def test_splits_by_the_names_of_folders(self, tmp_path, validation):
        for word, start in (("train", 0), (validation, 50), ("test", 100)):
            write_table(tmp_path / "default" / word / "0000.parquet", [0, 1], start=start)
        data = load(choice(tmp_path))
        assert [shades(part) for part in (data.training, data.validation, data.test)] == [[0, 1], [50, 51], [100, 101]]

    def test_files_of_no_split_are_told(self, hub_like):
        write_table(hub_like / "data" / "extra.parquet", [0, 1])
        write_table(hub_like / ".hidden" / "train.parquet", [0, 1])
        notes = load(choice(hub_like)).notes
        assert "Parquet files of no known split left out: 1" in notes
        assert "hidden files or folders ignored: 1" in notes

    def test_withheld_labels_are_told(self, hub_like):
        write_table(hub_like / "data" / "test-00000-of-00001.parquet", [-1, -1], start=100)
        data = load(choice(hub_like))
        assert "images for test left out, whose labels are withheld (-1): 2" in data.notes
        assert max(shades(data.test)) < 100

    @pytest.mark.parametrize(
        ("labels", "kind", "names"),
        [
            (["b", "a"] * 18, pa.string(), ("a", "b")),
            (["b", "a"] * 18, pa.dictionary(pa.int8(), pa.string()), ("a", "b")),
            ([7, 3] * 18, pa.uint8(), ("3", "7")),
        ],
    )
    def test_labels_name_the_classes(self, tmp_path, labels, kind, names):
        path = write_table(tmp_path / "a.parquet", labels, features=None, kind=kind)
        data = load(choice(path))
        assert data.class_names == names
        assert np.array_equal(data.training.labels, 1 - np.array(shades(data.training)) % 2)

    def test_text_is_its_own_name_whatever_was_written_of_it(self, tmp_path):
        path = write_table(tmp_path / "a.parquet", ["wolf", "lynx"] * 18)
        assert load(choice(path)).class_names == ("lynx", "wolf")

    def test_plain_bytes_and_columns_by_name(self, tmp_path):
        columns = {"photo": [png(shade) for shade in range(36)], "thumb": [b"x"] * 36, "breed": alternating(36)}
        pq.write_table(pa.table(columns | {"year": [2000] * 36}), tmp_path / "a.parquet")
        data = load(choice(tmp_path / "a.parquet", "?image=photo&label=breed", grayscale=True))
        assert data.training.images.shape[1:] == (4, 4, 1)
        assert np.array_equal(data.training.labels, np.array(shades(data.training)) % 2)

    def test_unreadable_images_are_left_out_where_asked(self, tmp_path):
        cells = [{"bytes": png(shade)} for shade in range(36)]
        cells[3], cells[4] = {"bytes": b"no image"}, {"bytes": None, "path": "/etc/hostname"}
        path = write_table(tmp_path / "a.parquet", alternating(36), images=cells)
        named = r"2 of 36 images .* read: a.parquet row 3 \(no image .*\), a.parquet row 4 \(its row holds no bytes\)"
        with pytest.raises(DataError, match=named):
            load(choice(path))
        data = load(choice(path, skip_unreadable=True))
        assert data.notes[0].startswith("unreadable images skipped: 2 of 36")
        assert not {3, 4} & {*shades(data.training), *shades(data.validation), *shades(data.test)}

    def test_bombs_are_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        cells = [{"bytes": png(shade)} for shade in range(12)]
        cells[0] = {"bytes": png(0, (10, 11))}
        path = write_table(tmp_path / "a.parquet", alternating(12), images=cells)
        with pytest.raises(DataError, match=r"row 0 \(Image size \(110 pixels\) exceeds limit"):
            load(choice(path))

    def test_more_rows_than_are_read_at_once(self, tmp_path):
        labels = [0] * 300 + [1] * 300
        path = write_table(tmp_path / "a.parquet", labels, images=[{"bytes": png(label)} for label in labels])
        data = load(choice(path))
        for part in (data.training, data.validation, data.test):
            assert np.array_equal(part.labels, shades(part))


class TestRefused:
    def refused(self, path, sentence, options=""):
        with pytest.raises(DataError, match=rf"^parquet:{path}: {sentence}"):
            load(choice(path, options))

    def test_nothing_there(self, tmp_path):
        self.refused(tmp_path / "a", r".*a is neither a file nor a folder$")

    def test_no_parquet(self, tmp_path):
        self.refused(tmp_path, r".* holds no Parquet file$")

    def test_arrow_files_of_save_to_disk(self, tmp_path):
        (tmp_path / "data-00000-of-00001.arrow").write_bytes(b"")
        self.refused(tmp_path, r".* holds no Parquet file; it holds Arrow files: write them with `to_parquet`$")

    def test_several_sets(self, tmp_path):
        for name in ("plain", "cropped"):
            write_table(tmp_path / name / "train.parquet", [0, 1])
        self.refused(tmp_path, "holds the files of several sets, in the folders 'cropped', 'plain'; name one of them$")

    def test_no_training_file(self, tmp_path):
        write_table(tmp_path / "test.parquet", [0, 1])
        self.refused(tmp_path, "no Parquet file is for training, by its name; only for test$")

    def test_damage(self, tmp_path):
        path = write_table(tmp_path / "a.parquet", alternating(12))
        path.write_bytes(path.read_bytes()[:-9])
        self.refused(path, r"a.parquet cannot be read as Parquet \(.+\)$")

    def test_damage_inside(self, tmp_path):
        path = write_table(tmp_path / "a.parquet", alternating(12))
        content = path.read_bytes()
        path.write_bytes(content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :])
        self.refused(path, r"a.parquet cannot be read as Parquet \(.+\)$")

    def test_no_image_column(self, tmp_path):
        pq.write_table(pa.table({"label": [0, 1]}), tmp_path / "a.parquet")
        self.refused(tmp_path / "a.parquet", "no column can hold the images$")

    def test_paths_are_no_images(self, tmp_path):
        pq.write_table(pa.table({"image": ["a.png", "b.png"], "label": [0, 1]}), tmp_path / "a.parquet")
        self.refused(tmp_path / "a.parquet", "no column can hold the images$")

    def test_no_label_column(self, tmp_path):
        path = write_table(tmp_path / "a.parquet", [0.5, 1.0])
        self.refused(path, "no column can hold the labels$")

    def test_labels_in_doubt(self, tmp_path):
        two = {name: {"names": ["a", "b"], "_type": "ClassLabel"} for name in ("fine", "coarse")}
        columns = {"img": [png(0), png(1)], "fine": [0, 1], "coarse": [0, 1]}
        table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": two}})})
        pq.write_table(table, tmp_path / "a.parquet")
        sentence = r"'fine', 'coarse' can hold the labels; name one of them at the end, as in \?label=fine$"
        self.refused(tmp_path / "a.parquet", sentence)

    def test_column_that_is_not_there(self, tmp_path):
        path = write_table(tmp_path / "a.parquet", [0, 1])
        with pytest.raises(DataError, match=r"label=lable is no column of labels; did you mean 'label'\?$"):
            load(choice(path, "?label=lable"))

    def test_row_without_a_label(self, tmp_path):
        self.refused(write_table(tmp_path / "a.parquet", [0, None, 1]), "a.parquet has 1 rows without a 'label'$")

    def test_label_without_a_name(self, tmp_path):
        path = write_table(tmp_path / "a.parquet", [0, 1, 2])
        self.refused(path, "label 2 of the training images is 2, but labels are from 0 to 1$")

    def test_label_of_no_training_image(self, hub_like):
        for path in (hub_like / "data").iterdir():
            labels = ["cat", "dgo"] if path.name.startswith("test") else ["cat", "dog"]
            write_table(path, labels, features=None)
        self.refused(hub_like, r"label 'dgo' of the test images is none of the training images; did you mean 'dog'\?$")

    def test_files_that_differ(self, hub_like):
        write_table(hub_like / "data" / "test-00000-of-00001.parquet", ["a", "b"], features=None)
        self.refused(hub_like, "train-00000-of-00002.parquet has not the column 'label' that test-0.* has$|test-0")

    def test_no_row(self, tmp_path):
        path = write_table(tmp_path / "a.parquet", [], kind=pa.int64())
        self.refused(path, "a.parquet holds no row$")

    @pytest.mark.parametrize("features", ["no object", {"label": {"names": "ab", "_type": "ClassLabel"}}])
    def test_metadata(self, tmp_path, features):
        path = write_table(tmp_path / "a.parquet", [0, 1], features=features)
        self.refused(path, r"(what Hugging Face wrote .* is damaged|the names of the classes of 'label' .* texts)$")

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("parquet:", "must give a path, as in 'parquet:PATH'"),
            ("parquet:a?lable=x", "'lable' is no option; did you mean 'label'?"),
            ("parquet:a?label=", "must give 'label' one value, as in ?label=VALUE"),
            ("parquet:a?label=x&label=y", "must give 'label' one value, as in ?label=VALUE"),
        ],
    )
    def test_name(self, name, sentence):
        with pytest.raises(DataError) as caught:
            DataChoice(name=name, resolution=4)
        assert str(caught.value).endswith(sentence)

    def test_without_a_resolution(self):
        with pytest.raises(DataError, match=r"resolution \(=None\) must be given for 'parquet:a'"):
            DataChoice(name="parquet:a")
