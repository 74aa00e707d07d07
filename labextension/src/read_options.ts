import { ReadOptions } from './generated/types';

/** How a folder is read unless something else is asked for: nothing chosen, what is odd refused. */
export const DEFAULT_READ: ReadOptions = {
  series: null,
  select: {},
  gaps: 'refuse',
  irregular: 'refuse',
  tilt: 'refuse'
};

/** What of it is not the default. */
export function changedRead(read: ReadOptions): Partial<ReadOptions> {
  return Object.fromEntries(
    Object.entries(read).filter(
      ([name, value]) =>
        JSON.stringify(value) !==
        JSON.stringify(DEFAULT_READ[name as keyof ReadOptions])
    )
  );
}
