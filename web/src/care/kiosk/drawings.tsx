import type { JSX } from "react";

/** What to do, drawn: a person and a device in a few strokes, in the colours of the page. */
export function Drawing({ of }: { of: string }): JSX.Element {
  return <svg viewBox="0 0 240 240" className="drawn" role="presentation">{DRAWN[of] ?? DRAWN.attract}</svg>;
}

const head = (x: number, y: number, r = 17): JSX.Element => <circle cx={x} cy={y} r={r} className="skin" />;

const DRAWN: Record<string, JSX.Element> = {
  attract: <>
    <path className="floor" d="M30 212H210" />{head(92, 62)}
    <path className="body" d="M92 80v58M92 94l-26 28M92 94l30 20 22-18M92 138l-18 68M92 138l18 68" />
    <rect className="device" x="142" y="62" width="62" height="44" rx="8" /><path className="device" d="M173 106v104M152 210h42" /><path className="mark-line" d="M154 86h10l6-12 8 22 6-10h10" />
  </>,
  identify: <>
    <rect className="device" x="34" y="52" width="74" height="132" rx="12" /><path className="fill" d="M50 74h18v18H50zM74 74h18v18H74zM50 98h18v18H50zM80 104h12v12H80z" />
    <path className="mark-line" d="M122 118h34M146 106l12 12-12 12" /><rect className="device" x="164" y="78" width="46" height="80" rx="8" /><circle className="device" cx="187" cy="118" r="13" />
  </>,
  "height-weight": <>
    <path className="device" d="M62 24v186M62 40h44" /><path className="floor" d="M62 210h116" /><rect className="device" x="84" y="198" width="72" height="12" rx="4" />{head(120, 60)}
    <path className="body" d="M120 78v60M120 90l-16 42M120 90l16 42M120 138l-12 58M120 138l12 58" /><path className="mark-line" d="M186 54v138M178 62l8-10 8 10M178 184l8 10 8-10" />
  </>,
  "blood-pressure": <>
    {head(86, 54)}<path className="body" d="M86 72v70M86 142h58l4 62M86 90l26 34h44" /><path className="floor" d="M56 206h140M66 142v64M58 88v54h24" />
    <path className="device" d="M112 128h92v12h-92zM196 140v66" /><rect className="device" x="160" y="86" width="42" height="36" rx="6" /><path className="cuff" d="M100 102l14 18" /><path className="mark-line" d="M160 120q-22 10-44-6" />
  </>,
  "body-composition": <>
    <path className="floor" d="M50 212h140" /><rect className="device" x="80" y="198" width="80" height="14" rx="5" />{head(120, 52)}
    <path className="body" d="M120 70v68M120 86l-40 26M120 86l40 26M120 138l-16 58M120 138l16 58" /><path className="device" d="M70 106l14 10M170 106l-14 10" /><path className="mark-line" d="M60 110q-22 60 24 92M180 110q22 60-24 92" />
  </>,
  waist: <>
    {head(120, 48)}<path className="body" d="M120 66v20M98 84h44M98 84l-18 56M142 84l18 56M98 84l6 56-6 66M142 84l-6 56 6 66M104 140h32" /><path className="cuff" d="M100 124q20 12 40 0" /><path className="mark-line" d="M150 122h36M176 112l12 10-12 10" />
  </>,
  grip: <>
    {head(100, 48)}<path className="body" d="M100 66v74M100 82l-20 52M100 82l34 52M100 140l-16 64M100 140l16 64" /><path className="floor" d="M60 208h110" />
    <rect className="device" x="126" y="130" width="20" height="38" rx="6" /><path className="mark-line" d="M160 136l-10 8M164 150h-12M160 164l-10-8" />
  </>,
  "sit-and-reach": <>
    <path className="floor" d="M24 190h192" />{head(84, 102)}<path className="body" d="M52 184l24-66M52 184h94v-26M78 122l72 26" /><rect className="device" x="148" y="132" width="52" height="58" rx="4" /><path className="mark-line" d="M156 122h40M186 112l12 10-12 10" />
  </>,
  "chair-stand": <>
    <path className="floor" d="M30 208h180" /><path className="device" d="M56 104v104M56 150h52v58" />{head(86, 72)}<path className="body" d="M86 90v54M86 144h36v62M74 112l30 10M104 100l-28 20" /><path className="mark-line" d="M166 184V76M152 92l14-18 14 18M152 168l14 18 14-18" />
  </>,
  tug: <>
    <path className="floor" d="M20 208h200" /><path className="device" d="M30 120v88M30 160h36v48" />{head(110, 72)}<path className="body" d="M110 90v54M110 104l-22 26M110 104l24 22M110 144l-20 62M110 144l24 60" /><path className="device" d="M196 208l8-34 8 34z" /><path className="mark-line" d="M136 60q60-10 64 90M190 138l11 14 9-15" />
  </>,
  walk: <>
    <path className="floor" d="M20 208h200M36 208v-14M204 208v-14" />{head(112, 64)}<path className="body" d="M112 82v58M112 98l-24 28M112 98l26 24M112 140l-26 64M112 140l28 60" /><path className="mark-line" d="M60 184h110M158 174l14 10-14 10" />
  </>,
  posture: <>
    <rect className="device" x="150" y="40" width="56" height="90" rx="8" /><circle className="device" cx="178" cy="62" r="8" />{head(86, 58)}<path className="body" d="M86 76v66M62 88h48M62 88l-6 54M110 88l6 54M74 142h24M74 142l-4 62M98 142l4 62" />
    <path className="mark-line" d="M144 70l-30-8M144 84l-28 14M86 30v180" strokeDasharray="5 7" /><path className="floor" d="M46 208h82" />
  </>,
};
