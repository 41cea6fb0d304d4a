"""What a host needs: workflows with pinned actions, and a folder that any host serves whole."""

import re
import subprocess
import tomllib

import pytest
import yaml

from tools import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_rights_are_few(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", name) for name in used)
    assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_file_that_a_page_outside_the_book_names_is_in_the_repository(name):
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text(encoding="utf-8"))
    assert linked or name == "CHANGELOG.md"
    held = set(subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines())
    assert [file for file in linked if file not in held] == []


def test_workflows_run_the_two_commands_on_every_python():
    test = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))
    job = test["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    said = [step.get("run", "") for step in job["steps"]]
    assert [line.split()[1] for line in said if line.startswith("make ")] == ["book", "test"]


def test_the_pages_are_served_with_their_folders(book):
    assert (book / ".nojekyll").is_file()


@pytest.mark.parametrize(
    ("setting", "option"),
    [
        ("", "--constraint constraints.txt --editable"),
        ("TORCH_INDEX=https://a.org/cpu", "--extra-index-url https://a.org/cpu --editable"),
        ("CONSTRAINTS=/dev/null", "--constraint /dev/null --editable"),
    ],
)
def test_make_installs_as_asked(setting, option, tmp_path):
    command = ["make", "--dry-run", "env", f"VENV={tmp_path}/new", *filter(None, [setting])]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert option in " ".join(said.split())


def addresses(config: str, project: str, citation: str) -> set[str]:
    """The repository's address as each file has it, "" where it has none."""
    urls = tomllib.loads(project)["project"].get("urls", {})
    return {
        yaml.safe_load(config)["repository"]["url"],
        urls.get("Repository", ""),
        yaml.safe_load(citation).get("repository-code", ""),
    }


def test_the_repository_has_one_address():
    """The pages, the package and the citation name the same one, or none."""
    texts = [
        (ROOT / name).read_text(encoding="utf-8")
        for name in ("_config.yml", "pyproject.toml", "CITATION.cff")
    ]
    assert len(addresses(*texts)) == 1
    one = "https://github.com/owner/name"
    config = f'repository: {{url: "{one}"}}'
    project = f'[project]\nurls = {{Repository = "{one}"}}'
    citation = f'repository-code: "{one}"'
    assert addresses(config, project, citation) == {one}
    assert addresses(config, "[project]", citation) == {one, ""}
