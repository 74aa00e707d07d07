import { Contents } from '@jupyterlab/services';

/** A path relative to the server's root; null when it is on a drive that is not the server's file system. */
export function localPath(
  contents: Contents.IManager,
  path: string
): string | null {
  // Collaborative editing shows the same files under a drive name of its own.
  const isServers = ['', 'RTC'].includes(contents.driveName(path));
  return isServers ? contents.localPath(path) : null;
}
