import { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import React, { useEffect, useRef, useState } from 'react';
import { Field, pairsOf } from './params_schema';
import { SeriesChoice } from './series_choices';

interface Row {
  key: number;
  pair: readonly [string, string];
  /** Whether the user has added it, and goes on in it. */
  isNew: boolean;
}

/** Any number of rows, each a name and a text; they keep their own text, as the other inputs of the form do. */
export function NamedTexts(props: {
  field: Field;
  /** Before the ids of its elements. */
  id: string;
  text: string;
  /** What texts that name series can be; asked for when a row is added. */
  choices: () => Promise<readonly SeriesChoice[]>;
  trans: TranslationBundle;
  onChange: (text: string) => void;
}): JSX.Element {
  const { field, id, text, choices, trans, onChange } = props;
  const { name: nameTitle, text: textTitle, isSeries } = field.columns!;
  const [rows, setRows] = useState<readonly Row[]>(() =>
    pairsOf(text).map((pair, key) => ({ key, pair, isNew: false }))
  );
  const known = useChoices(isSeries && rows.length > 0, choices);
  const add = useRef<HTMLButtonElement>(null);

  const change = (changed: readonly Row[]) => {
    setRows(changed);
    onChange(JSON.stringify(changed.map(({ pair }) => pair)));
  };
  const set = (key: number, pair: Row['pair']) =>
    change(rows.map(row => (row.key === key ? { ...row, pair } : row)));
  const append = () => {
    const key = Math.max(-1, ...rows.map(row => row.key)) + 1;
    change([...rows, { key, pair: ['', ''], isNew: true }]);
  };
  const remove = (key: number) => {
    change(rows.filter(row => row.key !== key));
    add.current?.focus(); // the button that had the focus is gone
  };

  const input = (
    label: string,
    value: string,
    onText: (changed: string) => void,
    more: { list?: string; autoFocus?: boolean }
  ) => (
    <input
      {...more}
      className="jp-mod-styled"
      type="text"
      autoComplete="off"
      spellCheck={false}
      aria-label={label}
      placeholder={label.replace(/ \d+$/, '')}
      value={value}
      onChange={event => onText(event.target.value)}
    />
  );
  return (
    <div
      role="group"
      id={id}
      aria-labelledby={`${id}-label`}
      aria-describedby={field.description ? `${id}-description` : undefined}
    >
      <ul className="dlp-NamedTexts">
        {rows.map(({ key, pair: [name, value], isNew }, n) => (
          <li key={key}>
            {input(
              `${nameTitle} ${n + 1}`,
              name,
              changed => set(key, [changed, value]),
              { autoFocus: isNew }
            )}
            {input(
              `${textTitle} ${n + 1}`,
              value,
              changed => set(key, [name, changed]),
              { list: isSeries ? `${id}-choices` : undefined }
            )}
            <button
              type="button"
              className="dlp-Job-menu"
              aria-label={trans.__('Remove row %1', n + 1)}
              title={trans.__('Remove')}
              onClick={() => remove(key)}
            >
              <closeIcon.react tag="span" />
            </button>
          </li>
        ))}
      </ul>
      {isSeries && (
        <datalist id={`${id}-choices`}>
          {known.map(choice => (
            <option key={choice.value} value={choice.value}>
              {choice.label}
            </option>
          ))}
        </datalist>
      )}
      <button
        type="button"
        ref={add}
        className="dlp-Job-action"
        onClick={append}
      >
        {trans.__('Add')}
      </button>
    </div>
  );
}

/** What can be chosen, once it is wanted and known. */
function useChoices(
  isWanted: boolean,
  choices: () => Promise<readonly SeriesChoice[]>
): readonly SeriesChoice[] {
  const [known, setKnown] = useState<readonly SeriesChoice[]>([]);
  useEffect(() => {
    if (isWanted) {
      void choices().then(setKnown);
    }
  }, [isWanted]);
  return known;
}
