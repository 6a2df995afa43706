"""What is wrong with a profile is said in our words, with its place."""

import pytest

from blackbox_afx.errors import ProfileError
from blackbox_afx.plugins.profile import load_profile

CONTROL = '[identity]\nformat = "builtin"\nplugin_name = "Gain"\n[[controls]]\nname = "Gain"\nindex = 0\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = \n", "line 1, column 8: not TOML (invalid value); expected lines such as key = 1,"),
        ('nme = "x"\n', "no field is called 'nme'; did you mean 'name'?"),
        ('schema = "x"\n', "schema = 'x'; expected a whole number"),
        ('reset = "often"\n', "reset = 'often'; expected one of fresh, reinstantiate, reset"),
        ('name = "x"\n', "lacks 'identity'; expected it; add it"),
        (f'name = "x"\n{CONTROL}minimum = "low"\n', "controls[0].minimum = 'low'; expected a number"),
        (f'name = "x"\n{CONTROL}minimun = 1\n', "controls[0]: no field is called 'minimun'; did you mean 'minimum'?"),
        (f'name = "x"\n{CONTROL}use = 1\n', "controls[0].use = 1; expected true or false"),
        ("controls = 3\n", "controls = 3; expected a list in [ ]"),
    ],
)
def test_a_profile(tmp_path, text, says):
    path = tmp_path / "profile.toml"
    path.write_text(text)
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    assert str(caught.value).startswith(f"{path}: {says}")
    assert "`" not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "profile.toml"
    path.write_bytes(b'name = "\xff"\n')
    with pytest.raises(ProfileError, match=r"expected TOML in UTF-8|not TOML"):
        load_profile(path)
