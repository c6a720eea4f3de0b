import { useEffect, useState, type RefObject } from "react";
import { t } from "../../i18n";

/** Shows the camera in a video for as long as it is there. `ready` says that there is a picture, `problem` why there is none. */
export function useCamera(video: RefObject<HTMLVideoElement | null>, wanted = true): { problem: string; ready: boolean } {
  const [problem, setProblem] = useState("");
  const [ready, setReady] = useState(false);
  useEffect(() => {
    if (!wanted) return;
    let stream: MediaStream | undefined;
    let gone = false;
    const stop = (): void => stream?.getTracks().forEach((track) => track.stop());
    navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 } }, audio: false }).then(async (found) => {
      stream = found;
      if (gone || !video.current) return stop();
      video.current.srcObject = found;
      await video.current.play();
      if (!gone) setReady(true);
    }).catch(() => { if (!gone) setProblem(t("kiosk.noCamera")); });
    return () => {
      gone = true;
      setReady(false);
      stop();
    };
  }, [video, wanted]);
  return { problem, ready };
}
