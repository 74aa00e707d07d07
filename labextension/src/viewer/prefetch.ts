const AHEAD = 8;
const BEHIND = 2;
/** A source that takes longer than this for a plane is not kept busy with planes that nobody may ask for. */
const SLOW_MS = 150;

/**
 * Planes that are likely to be asked for next, the likeliest first.
 *
 * @param index - The plane that is shown.
 * @param count - How many there are.
 * @param direction - Where the user came from: 1 from below, -1 from above, 0 unknown.
 * @param lastMs - How long the source took for a plane.
 */
export function likelyNext(
  index: number,
  count: number,
  direction: -1 | 0 | 1,
  lastMs: number
): number[] {
  const forward = direction === 0 ? 1 : direction;
  const ahead = lastMs > SLOW_MS ? 1 : AHEAD;
  const behind = lastMs > SLOW_MS ? 0 : direction === 0 ? AHEAD : BEHIND;
  const next: number[] = [];
  for (let step = 1; step <= Math.max(ahead, behind); step++) {
    if (step <= ahead) {
      next.push(index + step * forward);
    }
    if (step <= behind) {
      next.push(index - step * forward);
    }
  }
  return next.filter(other => other >= 0 && other < count);
}
