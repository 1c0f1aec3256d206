"""The page of `dvc plots show`: every plot that dvc.yaml asks for, no other, and the pictures."""


def test_plots_show_draws_all_of_them_and_nothing_else(finished, tmp_path):
    finished.dvc("plots", "show", "--out", str(tmp_path / "plots"))
    page = (tmp_path / "plots/index.html").read_text()
    titles = {"loss", "learning rate", "validation mIoU", "IoU per class"}
    assert all(f'"text": "{title}"' in page for title in titles)
    assert page.count('"$schema"') == len(titles) + 1  # and the confusion matrix
    assert "share of each true class" in page
    assert "<DVC_" not in page  # nothing of a template is left over
    pictures = {path.name for path in (finished.root / "data/renders").iterdir()}
    shown = {path.name.removeprefix("workspace_data_renders_") for path in (tmp_path / "plots/static").iterdir()}
    assert shown == pictures


def test_the_page_takes_vega_from_the_environment_and_only_else_from_the_network(finished, tmp_path):
    finished.dvc("plots", "show", "--out", str(tmp_path / "plots"))
    page = (tmp_path / "plots/index.html").read_text()
    assert page.index('<script src="../.venv/vega.js">') < page.index("vegaEmbed(")
    [asleep, _] = page.split("</template>")  # what stands in a template is loaded when the page's script says so
    assert "https://" not in asleep.split("<template")[0]
    assert asleep.split("<template")[1].count('<script src="https://') == 3
