import {
  Activity, Ambulance, Bike, Building2, Bus, Camera, Car, Circle, CircleParking, Cloud, CloudSun, Cpu, Cross, Droplets, Factory, Flame,
  Gauge, Hospital, House, Lamp, Lightbulb, MapPin, Plug, Radio, School, Shield, ShieldAlert, Siren, Sun, Thermometer, TrafficCone,
  TreePine, TriangleAlert, Trash2, Users, Volume2, Waves, Wind, Zap,
  type IconNode,
} from "lucide";

/** The icons that a layer may name; any other name is drawn as a plain disc. */
export const ICONS: Record<string, IconNode> = {
  activity: Activity, ambulance: Ambulance, bike: Bike, building: Building2, bus: Bus, camera: Camera, car: Car, parking: CircleParking,
  cloud: Cloud, weather: CloudSun, device: Cpu, medical: Cross, water: Droplets, factory: Factory, fire: Flame, gauge: Gauge,
  hospital: Hospital, home: House, lamp: Lamp, light: Lightbulb, pin: MapPin, plug: Plug, radio: Radio, school: School, shield: Shield,
  safety: ShieldAlert, siren: Siren, sun: Sun, temperature: Thermometer, traffic: TrafficCone, tree: TreePine, alert: TriangleAlert,
  waste: Trash2, people: Users, noise: Volume2, flood: Waves, air: Wind, energy: Zap, circle: Circle,
};

/** Pixels drawn per pixel of the style. */
export const DRAWN = Math.min(2, Math.max(1, devicePixelRatio));

interface Canvas {
  context: CanvasRenderingContext2D;
  image: () => ImageData;
}

function canvas(size: number): Canvas {
  const element = document.createElement("canvas");
  element.width = element.height = size * DRAWN;
  const context = element.getContext("2d", { willReadFrequently: true })!;
  context.scale(DRAWN, DRAWN);
  return { context, image: () => context.getImageData(0, 0, element.width, element.height) };
}

function strokeIcon(context: CanvasRenderingContext2D, icon: IconNode): void {
  for (const [tag, attributes] of icon) {
    const at = (name: string): number => Number(attributes[name] ?? 0);
    const path = new Path2D(tag === "path" ? String(attributes.d) : undefined);
    if (tag === "circle") path.arc(at("cx"), at("cy"), at("r"), 0, 2 * Math.PI);
    else if (tag === "rect") path.roundRect(at("x"), at("y"), at("width"), at("height"), at("rx"));
    else if (tag === "line") {
      path.moveTo(at("x1"), at("y1"));
      path.lineTo(at("x2"), at("y2"));
    } else if (tag === "polyline" || tag === "polygon") {
      const points = String(attributes.points).trim().split(/[\s,]+/).map(Number);
      for (let i = 0; i + 1 < points.length; i += 2) path.lineTo(points[i]!, points[i + 1]!);
      if (tag === "polygon") path.closePath();
    }
    context.stroke(path);
  }
}

/** White where it has a contrast of 4.5:1 on a colour, else black, which then has (WCAG relative luminance). */
export function onColour(colour: string): string {
  const hex = /^#([\da-f]{6})$/i.exec(colour)?.[1];
  if (!hex) return "#ffffff";
  const [r, g, b] = [0, 2, 4].map((i) => {
    const channel = parseInt(hex.slice(i, i + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05) < 4.5 ? "#000000" : "#ffffff";
}

function drawIcon(context: CanvasRenderingContext2D, icon: string, size: number, colour: string): void {
  const node = ICONS[icon];
  if (!node || icon === "circle") return;
  context.translate(size / 2 - 7, size / 2 - 7);
  context.scale(14 / 24, 14 / 24);
  context.lineWidth = 2.4;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = colour;
  strokeIcon(context, node);
}

/** A white icon alone, as a map image: it lies on a dot whose colour changes. */
export function iconImage(icon: string): ImageData {
  const { context, image } = canvas(16);
  drawIcon(context, icon, 16, "#ffffff");
  return image();
}

/** A disc in a colour with an icon in it, as a map image. */
export function pinImage(colour: string, icon: string, ring: string): ImageData {
  const size = 28;
  const { context, image } = canvas(size);
  context.beginPath();
  context.arc(size / 2, size / 2, 12, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = ring;
  context.stroke();
  drawIcon(context, icon, size, onColour(colour));
  return image();
}

/** A ring whose arcs show which layers a cluster holds, as a map image; `shares` are [colour, weight]. */
export function clusterImage(diameter: number, shares: [string, number][], paper: string): ImageData {
  const size = diameter + 4;
  const { context, image } = canvas(size);
  const middle = size / 2;
  const total = shares.reduce((sum, [, weight]) => sum + weight, 0) || 1;
  context.beginPath();
  context.arc(middle, middle, diameter / 2, 0, 2 * Math.PI);
  context.fillStyle = paper;
  context.fill();
  context.lineWidth = 4;
  let angle = -Math.PI / 2;
  for (const [colour, weight] of shares) {
    const next = angle + (2 * Math.PI * weight) / total;
    context.beginPath();
    context.arc(middle, middle, diameter / 2 - 2, angle, next);
    context.strokeStyle = colour;
    context.stroke();
    angle = next;
  }
  return image();
}
