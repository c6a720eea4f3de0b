import type { Text } from "../../types";
import type { Level } from "../citizen/types";

export interface Person { id: string; name: string; birth_date: string | null; age_years: number | null; sex: string | null; phone: string | null }

export interface Place { id: string; name: Text }

export interface Alert {
  id: string; kind: "alert" | "help"; patient: Person | null; place: Place | null; text: Text; level: Level; sent: string; escalated: boolean; state: "open" | "done";
  acknowledged: { by: string; at: string; note: string } | null; encounter: string | null;
}

export interface Why { task: string; code: string; text: Text; level: Level; due: string; overdue_days: number }

export interface Item {
  patient: string; name: string; age: number | null; sex: string | null; phone: string | null; why: Why[]; due: string; overdue_days: number; level: Level;
  last_visit: string | null; next_step: Text;
}

export interface Worklist { items: Item[]; reasons: { code: string; people: number }[]; more: boolean }

export interface Grade { rule: string; group: string; beside: boolean; title: Text; value: number | null; unit: string; band: string; level: Level; text: Text; inputs: Record<string, number> }

export interface Contact { id: string; kind: string; note: string; at: string; by: string | null }

export interface Summary {
  patient: Person; visits: { encounter: string; at: string; place: Place | null; level: Level }[]; grades: Grade[]; follow_ups: Why[]; alerts: Alert[]; contacts: Contact[];
}

export interface Referral {
  id: string; patient: { id: string; name: string }; to: { id: string; name: Text }; state: string; reason: string; why: string; priority: string; authored: string; changed: string;
  appointment: { id: string; start: string | null; status: string } | null; results: { type: string; id: string; text: string }[];
}

export interface Hospital { id: string; name: Text }

export interface Overview {
  places: { id: string; name: Text; position: [number, number] | null; hours: { days: string[]; opens: string; closes: string } | null }[];
  kiosks: { id: string; account: string; name: string; place: string; active: boolean }[];
  organisations: { id: string; name: Text; active: boolean }[];
  parties: { account: string; organisation: string }[];
}

export interface Delivery { id: string; state: string; changes_behind: number; sent: number; withheld: number; last_sent: string | null; failures: number; failing_since: string | null; next_try: string | null; error: string | null }
