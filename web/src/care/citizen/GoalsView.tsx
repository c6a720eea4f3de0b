import { useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { number } from "../../format";
import { t, text } from "../../i18n";
import { FormDialog } from "../../office/parts";
import { reason } from "../../problems";
import { Field } from "../../ui/Field";
import { useTitle } from "../../ui/page";
import { ask, useMine } from "./data";
import { LevelChip, OfflineNote, Part } from "./parts";
import type { Choice, Goal } from "./types";
import { amount, date } from "./words";

interface Goals { goals: Goal[]; choices: Choice[] }

/** What one sets out to reach, and how far one has come. */
export function GoalsView(): JSX.Element {
  const { data, problem, keptAt, reload } = useMine<Goals>("/goals");
  const [failure, setFailure] = useState("");
  useTitle(t("health.goals"));
  async function put(goals: { column: string; target: number; direction: string; due: string }[]): Promise<void> {
    await ask("/goals", "PUT", { goals });
    await reload();
  }
  const wishes = (data?.goals ?? []).map(({ column, target, direction, due }) => ({ column, target, direction, due }));
  return (
    <>
      <h1>{t("health.goals")}</h1>
      <p className="help">{t("health.goalsHelp")}</p>
      <OfflineNote keptAt={keptAt} />
      {(problem || failure) && <p role="alert" className="problem">{problem || failure}</p>}
      {!data && !problem && <p role="status" className="hint">{t("office.loading")}</p>}
      {data?.goals.map((goal) => (
        <Part key={goal.column} title={text(goal.title)} id={`goal-${goal.column}`} actions={goal.reached ? <LevelChip level="good">{t("health.reached")}</LevelChip> : undefined}>
          <p className="goal-said">{t(`health.goal.${goal.direction}`, { target: amount(goal.target, goal.unit) })}{goal.due && ` · ${t("health.by", { date: date(goal.due) })}`}</p>
          <Progress goal={goal} />
          {!keptAt && (
            <Button
              className="button" aria-label={`${t("health.dropGoal")}: ${text(goal.title)}`}
              onPress={() => { setFailure(""); put(wishes.filter(({ column }) => column !== goal.column)).catch((error: unknown) => setFailure(reason(error))); }}
            >
              {t("health.dropGoal")}
            </Button>
          )}
        </Part>
      ))}
      {data && !keptAt && (
        <section className="health-part" aria-label={t("health.newGoal")} tabIndex={-1}>
          {data.goals.length === 0 && <p>{t("health.noGoals")}</p>}
          <NewGoal choices={data.choices} set={(wish) => put([...wishes.filter(({ column }) => column !== wish.column), wish])} />
        </section>
      )}
    </>
  );
}

function Progress({ goal }: { goal: Goal }): JSX.Element {
  if (goal.progress === null || goal.now === null) return <p className="help">{t("health.notMeasured")}</p>;
  const done = Math.round(goal.progress * 100);
  return (
    <>
      <div className="progress" role="progressbar" aria-label={text(goal.title)} aria-valuenow={done} aria-valuemin={0} aria-valuemax={100} aria-valuetext={t("health.progress", { percent: number(done) })}>
        <span style={{ width: `${done}%` }} />
      </div>
      <p className="goal-ends"><span>{goal.start !== null && t("health.goalStart", { value: amount(goal.start, goal.unit) })}</span><b>{t("health.goalNow", { value: amount(goal.now, goal.unit), percent: number(done) })}</b></p>
    </>
  );
}

function NewGoal({ choices, set }: { choices: Choice[]; set: (wish: { column: string; target: number; direction: string; due: string }) => Promise<void> }): JSX.Element {
  const [column, setColumn] = useState("");
  const choice = choices.find((one) => one.column === column) ?? choices[0];
  return (
    <FormDialog
      open={t("health.newGoal")} title={t("health.newGoal")} help={t("health.newGoalHelp")} submit={t("health.setGoal")}
      run={async (data) => {
        const target = Number(data.get("target"));
        const direction = choice?.now != null && target !== choice.now ? (target < choice.now ? "at_most" : "at_least") : (choice?.direction ?? "at_most");
        await set({ column: choice?.column ?? "", target, direction, due: String(data.get("due") ?? "") });
      }}
    >
      <label className="field"><span>{t("health.goalFor")}</span>
        <select value={choice?.column ?? ""} onChange={(event) => setColumn(event.target.value)}>
          {choices.map((one) => <option key={one.column} value={one.column}>{text(one.title)}{one.now !== null && ` (${amount(one.now, one.unit)})`}</option>)}
        </select>
      </label>
      <Field
        key={choice?.column} name="target" type="number" inputMode="decimal" label={`${t("health.target")}${choice && text(choice.unit) ? ` (${text(choice.unit)})` : ""}`}
        initial={choice?.target != null ? String(choice.target) : ""} help={choice?.target != null ? t("health.suggested") : undefined}
        check={(value) => (Number.isFinite(Number(value)) && Number(value) > -100 ? undefined : t("health.aNumber"))}
      />
      <Field name="due" type="date" optional label={t("health.due")} min={new Date().toISOString().slice(0, 10)} />
    </FormDialog>
  );
}
