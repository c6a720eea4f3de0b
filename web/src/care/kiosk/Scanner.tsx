import jsQR from "jsqr";
import { useEffect, useRef, useState, type JSX } from "react";
import { t } from "../../i18n";
import { useCamera } from "./camera";

/** How often the picture is searched. */
const EVERY_MS = 200;
const WIDTH = 640;

/** Looks through the camera until it sees a QR code. */
export function Scanner({ onRead }: { onRead: (text: string) => void }): JSX.Element {
  const video = useRef<HTMLVideoElement>(null);
  const read = useRef(onRead);
  read.current = onRead;
  const { problem } = useCamera(video);
  const [last, setLast] = useState("");
  useEffect(() => {
    const canvas = new OffscreenCanvas(WIDTH, WIDTH);
    const context = canvas.getContext("2d", { willReadFrequently: true })!;
    const timer = setInterval(() => {
      const { videoWidth: width = 0, videoHeight: height = 0 } = video.current ?? {};
      if (!width) return;
      canvas.width = Math.min(WIDTH, width);
      canvas.height = Math.round((height * canvas.width) / width);
      context.drawImage(video.current!, 0, 0, canvas.width, canvas.height);
      const found = jsQR(context.getImageData(0, 0, canvas.width, canvas.height).data, canvas.width, canvas.height, { inversionAttempts: "attemptBoth" })?.data;
      // The same code stays before the camera after it was refused.
      if (found && found !== last) {
        setLast(found);
        read.current(found);
      }
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, [last]);
  return (
    <div className="camera">
      <video ref={video} muted playsInline aria-label={t("kiosk.camera")} />
      {problem && <p role="alert" className="said" data-tone="ask">{problem}</p>}
    </div>
  );
}
