"""A person drawn from the front and from the side, well enough for a detector of joints to find them."""

_SCENE = """<svg xmlns="http://www.w3.org/2000/svg" width="720" height="1280" viewBox="0 0 360 640"><defs>
<linearGradient id="w" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="#cfd6dc"/>
<stop offset=".82" stop-color="#b9c1c8"/><stop offset=".83" stop-color="#8d8274"/>
<stop offset="1" stop-color="#a39888"/></linearGradient>
<radialGradient id="s" cx=".45" cy=".4" r=".7"><stop offset="0" stop-color="#f0c9a8"/>
<stop offset="1" stop-color="#c89069"/></radialGradient>
<linearGradient id="t" x1="0" x2="1"><stop offset="0" stop-color="#35507e"/><stop offset=".5" stop-color="#5578b0"/>
<stop offset="1" stop-color="#2d456f"/></linearGradient>
<linearGradient id="l" x1="0" x2="1"><stop offset="0" stop-color="#2b2f36"/><stop offset=".5" stop-color="#484e58"/>
<stop offset="1" stop-color="#23262c"/></linearGradient></defs>
<rect width="360" height="640" fill="url(#w)"/><ellipse cx="180" cy="592" rx="90" ry="12" fill="#0004"/>%s</svg>"""

FRONT = (
    _SCENE
    % """
<path d="M150 330 L146 460 L148 570 L172 570 L178 460 L180 350 L182 460 L188 570 L212 570 L214 460 L210 330Z"
 fill="url(#l)"/>
<path d="M144 566 h30 v16 h-40 q0 -12 10 -16Z M186 566 h30 q10 4 10 16 h-40Z" fill="#eee"/>
<path d="M168 150 L192 150 L194 176 L166 176Z" fill="#c89069"/>
<path d="M164 168 Q128 172 122 196 L106 290 L98 352 L112 356 L128 296 L142 230 L146 340 L214 340 L218 230 L232 296
 L248 356 L262 352 L254 290 L238 196 Q232 172 196 168 Q180 182 164 168Z" fill="url(#t)"/>
<path d="M98 350 q-6 26 4 34 q10 4 12 -28Z M262 350 q6 26 -4 34 q-10 4 -12 -28Z" fill="url(#s)"/>
<ellipse cx="180" cy="118" rx="29" ry="38" fill="url(#s)"/>
<path d="M149 112 Q146 72 180 70 Q214 72 211 112 Q206 92 196 92 Q180 96 164 92 Q152 94 149 112Z" fill="#2a1d14"/>
<ellipse cx="150" cy="120" rx="5" ry="9" fill="#c89069"/><ellipse cx="210" cy="120" rx="5" ry="9" fill="#c89069"/>
<path d="M163 108 q6 -4 12 0 M185 108 q6 -4 12 0" stroke="#2a1d14" stroke-width="2.5" fill="none"/>
<ellipse cx="169" cy="115" rx="4.5" ry="2.6" fill="#fff"/><ellipse cx="191" cy="115" rx="4.5" ry="2.6" fill="#fff"/>
<circle cx="169" cy="115" r="2.3" fill="#211"/><circle cx="191" cy="115" r="2.3" fill="#211"/>
<path d="M180 116 l-4 16 q4 3 8 0" stroke="#a06a48" stroke-width="1.8" fill="none"/>
<path d="M169 142 q11 6 22 0" stroke="#9c4a42" stroke-width="3" fill="none"/>"""
)

SIDE = (
    _SCENE
    % """
<path d="M160 330 L158 460 L160 570 L190 570 L196 460 L204 330Z" fill="url(#l)"/>
<path d="M158 566 h30 q26 4 30 18 h-62Z" fill="#eee"/>
<path d="M168 148 L190 152 L192 180 L164 180Z" fill="#b9805b"/>
<path d="M166 172 Q150 182 152 240 L156 342 L206 342 Q214 250 206 200 Q204 176 186 172Z" fill="url(#t)"/>
<path d="M172 196 Q190 192 194 212 L192 286 L200 352 L184 354 L174 290 L168 220Z" fill="#42618f" stroke="#22365a"
 stroke-width="1.5"/>
<path d="M184 352 q-2 28 8 32 q12 2 10 -32Z" fill="url(#s)"/>
<path d="M152 118 Q150 78 186 76 Q214 78 214 106 L216 116 L223 128 L216 132 L216 142 Q214 154 200 154 L186 156
 Q156 156 152 118Z" fill="url(#s)"/>
<path d="M150 128 Q142 72 184 70 Q212 70 215 98 Q200 92 192 100 Q190 112 184 112 L178 104 Q170 130 168 142
 Q154 144 150 128Z" fill="#2a1d14"/>
<ellipse cx="180" cy="120" rx="6" ry="10" fill="#d49b74" stroke="#a06a48" stroke-width="1.5"/>
<path d="M202 106 q6 -4 11 0" stroke="#2a1d14" stroke-width="2.5" fill="none"/>
<ellipse cx="208" cy="113" rx="4" ry="2.6" fill="#fff"/><circle cx="210" cy="113" r="2.2" fill="#211"/>
<path d="M205 142 q7 1 11 -1" stroke="#9c4a42" stroke-width="3" fill="none"/>"""
)

CAMERA = """
(svgs) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 720, height: 1280 });
  const context = canvas.getContext("2d");
  window.figure = async (which) => {
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(svgs[which])}`;
    await image.decode();
    clearInterval(window.drawing);
    const draw = () => context.drawImage(image, 0, 0);
    draw();
    window.drawing = setInterval(draw, 100);
  };
  navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(10);
}
"""
"""Puts a drawing before the page's camera: `figure("front")`."""
