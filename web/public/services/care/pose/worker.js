// Finds a person's joints in a photograph with MediaPipe Pose. Its content security policy (`POSE_FENCE` of the room's
// manifest) lets it reach nothing: the page hands it the package's files, then photographs, and gets points back.
let pose;
let landmarks;

// The package was made for pages, and wants these few things of one.
self.window = self;
self.document = {
  createElement(tag) {
    if (tag === "canvas") return Object.assign(new OffscreenCanvas(1, 1), { style: {} });
    const heard = {};
    return { heard, setAttribute(name, value) { this[name] = value; }, addEventListener(name, run) { heard[name] = run; } };
  },
  body: {
    appendChild({ src, heard }) {
      if (!src) return;
      importScripts(src);
      heard.load();
    },
  },
};

addEventListener("message", async ({ data }) => {
  try {
    postMessage(data.files ? await open(data.files) : await look(data.photo));
  } catch (error) {
    postMessage({ error: String(error) });
  }
});

/** `files` are the package's, bytes by name. */
async function open(files) {
  const addresses = {};
  for (const [name, bytes] of Object.entries(files)) {
    const type = name.endsWith(".js") ? "text/javascript" : name.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";
    addresses[name] = URL.createObjectURL(new Blob([bytes], { type }));
  }
  importScripts(addresses["pose.js"]);
  pose = new Pose({ locateFile: (name) => addresses[name] });
  // Each photograph stands alone: nothing of one person is carried over to the next. On the processor, because a kiosk's
  // graphics may be weak, and one photograph is sooner looked at than shaders are compiled for it.
  pose.setOptions({ modelComplexity: 1, useCpuInference: true, smoothLandmarks: false, enableSegmentation: false, minDetectionConfidence: 0.5 });
  pose.onResults(({ poseLandmarks }) => (landmarks = poseLandmarks ?? null));
  await pose.initialize();
  // The first look sets everything up, which takes a while: not while somebody stands there.
  const nothing = new OffscreenCanvas(64, 64);
  nothing.getContext("2d").fillRect(0, 0, 64, 64);
  await look(nothing.transferToImageBitmap());
  return { ready: true };
}

async function look(photo) {
  landmarks = null;
  try {
    await pose.send({ image: photo });
  } finally {
    photo.close();
    pose.reset();
  }
  return { landmarks: landmarks && landmarks.map(({ x, y, visibility = 0 }) => ({ x, y, visibility })) };
}
