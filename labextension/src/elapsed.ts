import { ToldJob } from './api';

/**
 * How long a job has been at work, or how long it took: what the server said, and the time since.
 *
 * @param now - In ms, of the clock of `toldAt`.
 * @returns Such as "0.04 s", "7 s", "3 min 07 s", "1 h 05 min"; null before it started.
 */
export function elapsed(job: ToldJob, now: number): string | null {
  if (job.elapsed_seconds === null) {
    return null;
  }
  if (job.state === 'running') {
    return duration(job.elapsed_seconds + secondsSince(job, now));
  }
  // An ended job deserves its fractions; a running one would flicker.
  if (job.elapsed_seconds < 0.995) {
    return `${job.elapsed_seconds.toFixed(2)} s`;
  }
  return job.elapsed_seconds < 9.95
    ? `${job.elapsed_seconds.toFixed(1)} s`
    : duration(Math.round(job.elapsed_seconds));
}

/**
 * How long a running job may still take, as the server guessed, less the time since.
 *
 * @param now - In ms, of the clock of `toldAt`.
 * @returns Such as "3 min 07 s"; null while it is too early to tell, and when the guess has run out.
 */
export function timeLeft(job: ToldJob, now: number): string | null {
  if (job.state !== 'running' || job.seconds_left === null) {
    return null;
  }
  const left = job.seconds_left - secondsSince(job, now);
  return left > 0 ? duration(Math.ceil(left)) : null;
}

function secondsSince(job: ToldJob, now: number): number {
  return Math.max(0, (now - job.toldAt) / 1000);
}

function duration(seconds: number): string {
  if (seconds < 60) {
    return `${Math.floor(seconds)} s`;
  }
  const minutes = Math.floor(seconds / 60);
  const padded = (value: number) => String(Math.floor(value)).padStart(2, '0');
  return minutes < 60
    ? `${minutes} min ${padded(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${padded(minutes % 60)} min`;
}
