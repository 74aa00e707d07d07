import { Notification } from '@jupyterlab/apputils';

/** So long an error is in sight; it stays in Lab's list of notifications. */
const IN_SIGHT_MS = 10000;

/** Show why something did not work. Without a time in sight, Lab puts a notification in its list without a word. */
export function tellError(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  Notification.error(message, { autoClose: IN_SIGHT_MS });
}
