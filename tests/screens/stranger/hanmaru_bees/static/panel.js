/** Shows one hive, or how many there are; says who keeps them; follows live changes, language and all. */
export async function mount(element, shell) {
  const text = element.appendChild(document.createElement("p"));
  const { keeper } = await shell.api.get("/api/bees/v1/keeper");
  const draw = () => {
    const hives = shell.entities("Beehive");
    text.textContent = shell.entity
      ? shell.text({ en: "Hive weighs", ko: "벌통 무게" }) + ` ${shell.format.number(shell.entity.values.weight, 1)} kg`
      : shell.text({ en: "Hives", ko: "벌통" }) + ` ${hives.length} · ${keeper}`;
  };
  draw();
  shell.live("Beehive", draw);
  shell.changed(draw);
  return () => text.remove();
}
