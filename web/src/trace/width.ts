import { useEffect, useState, type RefObject } from "react";

/** How wide an element is now, in pixels. */
export function useWidth(of: RefObject<Element | null>): number {
  const [width, setWidth] = useState(600);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.max(200, Math.round(entry!.contentRect.width))));
    watch.observe(of.current!);
    return () => watch.disconnect();
  }, [of]);
  return width;
}
