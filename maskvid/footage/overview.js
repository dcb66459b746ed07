const cards = [...document.querySelectorAll("article")];
const said = (card) => {
  const entry = {}, verdict = card.querySelector("select"), caption = card.querySelector("input");
  if (verdict && (verdict.value !== verdict.dataset.checks || verdict.dataset.person)) entry.verdict = verdict.value;
  if (caption && caption.value.trim() && (caption.value !== caption.dataset.made || caption.dataset.person))
    entry.caption = caption.value.trim();
  return entry;
};
const count = () => {
  const states = cards.map((card) => card.querySelector("select")?.value ?? "none");
  document.querySelector("#count").textContent =
    `${states.filter((state) => state === "accept").length} of ${cards.length} accepted`;
  const shown = document.querySelector("#show").value;
  cards.forEach((card, index) => {
    card.className = states[index];
    card.hidden = shown !== "all" && (shown === "accept") !== (states[index] === "accept");
  });
};
document.addEventListener("change", count);
document.querySelector("#save").addEventListener("click", () => {
  const all = {};
  for (const card of cards) {
    const entry = said(card);
    if (Object.keys(entry).length) all[card.dataset.name] = entry;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(all, null, 2) + "\n"], { type: "application/json" }));
  link.download = "verdicts.json";
  link.click();
});
count();
