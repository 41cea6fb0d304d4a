// The verdict's claims, chosen by chapter, verdict and kind. Without scripts all of them are shown.
{
  const form = document.currentScript.previousElementSibling;
  const [all, count] = [form.querySelector("button"), form.querySelector("output")];
  const selects = [...form.querySelectorAll("select")];
  const rows = () => [...document.querySelectorAll("table.verdicts tbody tr")];
  // In a page the section goes with its last claim; a notebook's table has none of its own.
  const whole = (row) => row.closest("section") ?? row.closest("table");

  const show = () => {
    const chosen = rows().filter((row) => {
      row.hidden = selects.some(({ name, value }) => value && row.dataset[name] !== value);
      return !row.hidden;
    });
    const kept = new Set(chosen.map(whole));
    for (const part of new Set(rows().map(whole))) part.hidden = !kept.has(part);
    const verdicts = [...form.elements.verdict.options].filter(({ value }) => value).map(({ value, text }) => {
      const number = chosen.filter((row) => row.dataset.verdict === value).length;
      return number ? `${number} ${text.replace(/ \(\d+\)$/, "")}` : "";
    });
    const split = verdicts.filter(Boolean).join(", ");
    count.textContent = `${chosen.length} of ${rows().length} claims${split && ": "}${split}.`;
    all.disabled = chosen.length === rows().length;
  };
  const reset = () => {
    form.reset();
    show();
  };
  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  all.addEventListener("click", () => {
    reset();
    selects[0].focus(); // the button is out of use now
  });
  // A link to a claim or chapter that is not shown shows it.
  document.addEventListener("click", ({ target }) => {
    const hash = target.closest?.("a[href^='#']")?.hash;
    if (hash?.length > 1 && document.getElementById(decodeURIComponent(hash.slice(1)))?.closest("[hidden]")) reset();
  });
  form.hidden = false;
}
