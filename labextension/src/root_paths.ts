/**
 * Jobs name folders relative to dlp-lab's root, the file browser relative to the folder that Jupyter serves. `offset`
 * is where the root lies in that folder: '' when they are the same.
 */

/** The job's name of a folder that the file browser shows; null when it is outside the root. */
export function toJobPath(browserPath: string, offset: string): string | null {
  if (browserPath === offset) {
    return '.';
  }
  if (offset === '') {
    return browserPath;
  }
  return browserPath.startsWith(`${offset}/`)
    ? browserPath.slice(offset.length + 1)
    : null;
}

/** The file browser's name of a folder that a job names. */
export function toBrowserPath(jobPath: string, offset: string): string {
  return offset === '' ? jobPath : `${offset}/${jobPath}`;
}
