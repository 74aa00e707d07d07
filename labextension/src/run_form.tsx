import { TranslationBundle } from '@jupyterlab/translation';
import { HTMLSelect, ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';
import { JobRequest, TaskInfo } from './generated/types';
import { Field, fieldsOf, textOf, valueOf } from './params_schema';

type OutputForm = NonNullable<JobRequest['output_form']>;

/** What the form starts from. */
export interface RunFormOptions {
  task: TaskInfo;
  /** Folder relative to the root, as a job names it. */
  path: string;
  /** Values to start from instead of the task's defaults. */
  params: Record<string, unknown>;
  trans: TranslationBundle;
}

/** The parameters of one task, made from its JSON Schema. */
export class RunForm extends ReactWidget {
  constructor(private readonly _options: RunFormOptions) {
    super();
    this.addClass('dlp-RunForm');
    const { task, params } = _options;
    this._fields = fieldsOf(task.params_schema);
    this._texts = new Map(
      this._fields.map(field => [
        field.name,
        field.name in params
          ? textOf(field.kind, params[field.name])
          : field.defaultText
      ])
    );
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
      output_form: this._outputForm
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

  protected render(): JSX.Element {
    const { path, trans } = this._options;
    return (
      <>
        <div className="dlp-RunForm-row">
          <span className="dlp-RunForm-label">{trans.__('Folder')}</span>
          <bdi className="dlp-RunForm-path">
            {path === '.' ? trans.__('the top folder') : path}
          </bdi>
        </div>
        {this._fields.map(field => (
          <div className="dlp-RunForm-row" key={field.name}>
            <label
              className="dlp-RunForm-label"
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
            onChange={event => {
              this._keepHdf5 = event.target.checked;
            }}
          />
          {trans.__('Also keep both volumes as HDF5')}
        </label>
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
  private readonly _texts: Map<string, string>;
  private _keepHdf5 = false;
  private _outputForm: OutputForm = 'series';
  private _error: string | null = null;
  private _isChecking = false;
}
