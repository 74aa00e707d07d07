import { Job } from './generated/types';

/** Below this the time that is left would be a guess. */
const LEAST_PROGRESS = 0.03;
const LEAST_SECONDS = 2;

/**
 * How long a job has been at work, or how long it took.
 *
 * @param job - Its times are the server's clock.
 * @param now - The browser's clock in ms; the two may differ a little, so the result is never below zero.
 * @returns Such as "7 s", "3 min 07 s", "1 h 05 min"; null before it started.
 */
export function elapsed(job: Job, now: number): string | null {
  const seconds = secondsAtWork(job, now);
  if (seconds === null) {
    return null;
  }
  // An ended job deserves its tenth; a running one would flicker.
  return job.ended_at !== null && seconds < 10
    ? `${seconds.toFixed(1)} s`
    : duration(seconds);
}

/**
 * How long a running job may still take, were it to go on as until now.
 *
 * @returns Such as "3 min 07 s"; null while it is too early to tell.
 */
export function timeLeft(job: Job, now: number): string | null {
  const seconds = secondsAtWork(job, now);
  if (
    job.state !== 'running' ||
    seconds === null ||
    seconds < LEAST_SECONDS ||
    job.progress < LEAST_PROGRESS
  ) {
    return null;
  }
  const left = (seconds * (1 - job.progress)) / job.progress;
  return duration(Math.ceil(left));
}

function secondsAtWork(job: Job, now: number): number | null {
  if (job.started_at === null) {
    return null;
  }
  const end = job.ended_at === null ? now : Date.parse(job.ended_at);
  return Math.max(0, (end - Date.parse(job.started_at)) / 1000);
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
