import { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

/** What was noticed and accepted: a count that opens to the list. */
export function Warnings(props: {
  warnings: readonly string[];
  className: string;
  isOpen?: boolean;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { warnings, className, isOpen, trans } = props;
  if (warnings.length === 0) {
    return null;
  }
  return (
    <details className={className} open={isOpen}>
      <summary>
        {trans._n('%1 warning', '%1 warnings', warnings.length)}
      </summary>
      <ul>
        {warnings.map((warning, index) => (
          <li key={index}>{warning}</li>
        ))}
      </ul>
    </details>
  );
}
