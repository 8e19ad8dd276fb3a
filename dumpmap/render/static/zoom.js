/* Places and addresses of an address space, and zooming into it by wheel, double click, and two fingers.

   A space has `length`, `addressAt(place)`, and `placeOf(address)`. Where it is drawn to scale, a place and an address
   differ by a whole number. A shortened run maps many addresses to one place: its address is that of a page. */

const PAGE = 4096n;

/* After the page was scrolled, the wheel goes on scrolling it for as long: a reader who scrolls past does not zoom. */
const SCROLLING = 300;

/** The page at a share of the way through a shortened run; `share` is 0 to 1. */
function pageAt(start, size, share) {
  const steps = 2 ** 48;
  const offset = (BigInt(Math.round(share * steps)) * size) / BigInt(steps);
  const page = ((offset + PAGE / 2n) / PAGE) * PAGE;
  return start + (page < size ? page : size);
}

/** The places of the pages that [low, high) touches, at least `LEAST_VIEW` of them and inside the space. */
function pageView(space, low, high) {
  const wide = Math.min(space.length, Math.max(LEAST_VIEW, high - low));
  const from = Math.max(0, Math.min((low + high - wide) / 2, space.length - wide));
  const first = space.addressAt(from) / PAGE;
  const last = (space.addressAt(from + wide) + PAGE - 1n) / PAGE;
  return [
    from === 0 ? 0 : space.placeOf(first * PAGE),
    from + wide >= space.length ? space.length : Math.min(space.length, space.placeOf(last * PAGE)),
  ];
}

let scrolledAt = -Infinity;
addEventListener("scroll", () => { scrolledAt = performance.now(); }, { passive: true });

/**
 * Lets the reader zoom about the pointer.
 * @param overlay the element that takes the events
 * @param options space; placeAt(event), null beside the map; view(); show(low, high); onPinch(), when two fingers touch
 */
function zoomable(overlay, { space, placeAt, view, show, onPinch }) {
  const about = (place, factor, [from, to] = view()) => show(place - (place - from) * factor, place + (to - place) * factor);
  overlay.addEventListener("wheel", (event) => {
    const place = placeAt(event);
    const [from, to] = view();
    const isWhole = from === 0 && to >= space.length;
    if (place === null || event.deltaY === 0 || (isWhole && event.deltaY > 0)) return;
    if (!event.ctrlKey && performance.now() - scrolledAt < SCROLLING) return;
    event.preventDefault();
    const step = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 30);
    about(place, 2 ** Math.max(-1, Math.min(1, step / 100)));
  }, { passive: false });
  overlay.addEventListener("dblclick", (event) => {
    const place = placeAt(event);
    if (place !== null) about(place, event.shiftKey ? 4 : 0.25);
  });

  const fingers = new Map();
  let pinch = null;
  const gap = () => {
    const [one, other] = fingers.values();
    return Math.max(1, Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY));
  };
  overlay.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    fingers.set(event.pointerId, event);
    if (fingers.size !== 2) return;
    const [one, other] = fingers.values();
    const place = placeAt({ offsetX: (one.offsetX + other.offsetX) / 2, offsetY: (one.offsetY + other.offsetY) / 2 });
    pinch = place === null ? null : { place, gap: gap(), view: view() };
    onPinch();
  });
  overlay.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, event);
    if (pinch !== null && fingers.size === 2) about(pinch.place, pinch.gap / gap(), pinch.view);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    overlay.addEventListener(name, (event) => {
      fingers.delete(event.pointerId);
      pinch = null;
    });
  }
}
