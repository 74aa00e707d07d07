import { TranslationBundle } from '@jupyterlab/translation';
import { HTMLSelect, ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';
import { JobRequest, TaskInfo } from './generated/types';
import { NamedTexts } from './named_texts';
import { Field, fieldsOf, textOf, valueOf } from './params_schema';
import { changedRead } from './read_options';
import { SeriesChoice } from './series_choices';

type OutputForm = NonNullable<JobRequest['output_form']>;

/** What of a request a form can start from. How the folder is read has no field, and is asked for as it came. */
export type StartValues = Pick<
  JobRequest,
  'params' | 'keep_hdf5' | 'output_form' | 'read'
>;

/** What the form starts from. */
export interface RunFormOptions {
  task: TaskInfo;
  /** Folder relative to the root, as a job names it. */
  path: string;
  /** What to start from instead of the defaults. */
  values: StartValues;
  /** The series that parameters can name. */
  choices: () => Promise<readonly SeriesChoice[]>;
  trans: TranslationBundle;
}

/** The parameters of one task, made from its JSON Schema. */
export class RunForm extends ReactWidget {
  constructor(private readonly _options: RunFormOptions) {
    super();
    this.addClass('dlp-RunForm');
    const { task, values } = _options;
    this._fields = fieldsOf(task.params_schema);
    this._fill(values);
  }

  /**
   * The request that the form describes.
   *
   * @throws BadEntry when an entry does not have the form of its parameter.
   */
  request(): JobRequest {
    const params = this._fields
      .map(field => ({ field, text: this._texts.get(field.name) ?? '' }))
      .filter(({ field, text }) => !(field.mayBeEmpty && text.trim() === ''))
      .map(({ field, text }) => [field.name, valueOf(field, text)]);
    return {
      task: this._options.task.name,
      input_dir: this._options.path,
      params: Object.fromEntries(params) as Record<string, unknown>,
      keep_hdf5: this._keepHdf5,
      output_form: this._outputForm,
      ...(this._read && { read: this._read })
    };
  }

  /** Show why the request was not accepted; null takes the sentence away. */
  showError(message: string | null): void {
    this._error = message;
    this.update();
  }

  /** Show that the server looks at the folder, or no more. */
  showChecking(isChecking: boolean): void {
    this._isChecking = isChecking;
    this.update();
  }

  private _fill(values: StartValues): void {
    const { params = {}, keep_hdf5, output_form, read } = values;
    this._texts = new Map(
      this._fields.map(({ name, kind, defaultText }) => [
        name,
        name in params ? textOf(kind, params[name]) : defaultText
      ])
    );
    this._keepHdf5 = keep_hdf5 ?? false;
    this._outputForm = output_form ?? 'series';
    this._read = read;
    this._fillings++;
  }

  protected render(): JSX.Element {
    const { path, trans } = this._options;
    const read = this._read && changedRead(this._read);
    return (
      <>
        <div className="dlp-RunForm-row">
          <span className="dlp-RunForm-label">{trans.__('Folder')}</span>
          <bdi className="dlp-RunForm-path">
            {path === '.' ? trans.__('the top folder') : path}
          </bdi>
        </div>
        {this._inputs()}
        {read && Object.keys(read).length > 0 && (
          <div className="dlp-RunForm-row">
            <span className="dlp-RunForm-label">
              {trans.__('The folder is read with')}
            </span>
            <code className="dlp-RunForm-path">{JSON.stringify(read)}</code>
          </div>
        )}
        <button
          type="button"
          className="dlp-Job-action dlp-RunForm-defaults"
          onClick={() => {
            this._fill({ read: this._read });
            this.update();
          }}
        >
          {trans.__('Use the defaults')}
        </button>
        {this._isChecking && (
          <p className="dlp-RunForm-status" role="status">
            {trans.__('Checking the folder…')}
          </p>
        )}
        {this._error !== null && (
          <p className="dlp-RunForm-error" role="alert">
            {this._error}
          </p>
        )}
      </>
    );
  }

  /** They keep their own text: where the form was filled anew, they are made anew. */
  private _inputs(): JSX.Element {
    const { trans } = this._options;
    return (
      <React.Fragment key={this._fillings}>
        {this._fields.map(field => (
          <div className="dlp-RunForm-row" key={field.name}>
            <label
              className="dlp-RunForm-label"
              id={`dlp-RunForm-${field.name}-label`}
              htmlFor={`dlp-RunForm-${field.name}`}
            >
              {field.label}
            </label>
            {this._input(field)}
            {field.description && (
              <small id={`dlp-RunForm-${field.name}-description`}>
                {field.description}
              </small>
            )}
          </div>
        ))}
        {this._outputFormRow()}
        <label className="dlp-RunForm-check">
          <input
            type="checkbox"
            defaultChecked={this._keepHdf5}
            onChange={event => {
              this._keepHdf5 = event.target.checked;
            }}
          />
          {trans.__('Also keep both volumes as HDF5')}
        </label>
      </React.Fragment>
    );
  }

  private _outputFormRow(): JSX.Element {
    const { trans } = this._options;
    const labels: Record<OutputForm, string> = {
      series: trans.__('a series like the source'),
      multiframe: trans.__('one multi-frame file'),
      parametric_map: trans.__('one Parametric Map (floating point)')
    };
    return (
      <div className="dlp-RunForm-row">
        <label className="dlp-RunForm-label" htmlFor="dlp-RunForm-output_form">
          {trans.__('Result')}
        </label>
        <HTMLSelect
          id="dlp-RunForm-output_form"
          name="output_form"
          options={Object.entries(labels).map(([value, label]) => ({
            value,
            label
          }))}
          defaultValue={this._outputForm}
          onChange={event => {
            this._outputForm = event.target.value as OutputForm;
          }}
        />
      </div>
    );
  }

  /** An input that keeps its own text, so that typing never waits for a rendering. */
  private _input(field: Field): JSX.Element {
    const text = this._texts.get(field.name);
    const set = (value: string) => this._texts.set(field.name, value);
    const common = {
      id: `dlp-RunForm-${field.name}`,
      name: field.name,
      'aria-describedby': field.description
        ? `dlp-RunForm-${field.name}-description`
        : undefined
    };
    if (field.kind === 'named') {
      const { choices, trans } = this._options;
      return (
        <NamedTexts
          id={common.id}
          field={field}
          text={text ?? ''}
          choices={choices}
          trans={trans}
          onChange={set}
        />
      );
    }
    if (field.kind === 'choice') {
      return (
        <HTMLSelect
          {...common}
          options={field.choices}
          defaultValue={text}
          onChange={event => set(event.target.value)}
        />
      );
    }
    if (field.kind === 'boolean') {
      return (
        <input
          {...common}
          type="checkbox"
          defaultChecked={text === 'true'}
          onChange={event => set(String(event.target.checked))}
        />
      );
    }
    return (
      <input
        {...common}
        className="jp-mod-styled"
        type="text"
        autoComplete="off"
        spellCheck={false}
        defaultValue={text}
        placeholder={field.mayBeEmpty ? field.defaultText : undefined}
        onChange={event => set(event.target.value)}
      />
    );
  }

  private readonly _fields: Field[];
  private _texts = new Map<string, string>();
  private _keepHdf5 = false;
  private _outputForm: OutputForm = 'series';
  private _read: JobRequest['read'];
  private _fillings = 0;
  private _error: string | null = null;
  private _isChecking = false;
}
