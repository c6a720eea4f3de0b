import { createRoot } from "react-dom/client";
import type { PageShell } from "../shell";

export function mount(element: HTMLElement, shell: PageShell): () => void {
  const root = createRoot(element);
  root.render(<p>{shell.path}</p>);
  return () => root.unmount();
}
