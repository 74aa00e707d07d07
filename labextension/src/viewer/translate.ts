/** Puts a text into the user's language; %1, %2 ... stand for the values. JupyterLab's `trans.__` is one. */
export type Translate = (text: string, ...values: string[]) => string;

/** Leaves the text as it is, where there is no JupyterLab to ask. */
export function untranslated(text: string, ...values: string[]): string {
  return text.replace(/%(\d)/g, (all, n) => values[Number(n) - 1] ?? all);
}
