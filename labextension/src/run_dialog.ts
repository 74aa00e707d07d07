import { Dialog } from '@jupyterlab/apputils';
import { JobRequest } from './generated/types';
import { RunForm, RunFormOptions } from './run_form';

/** Index of the Run button. */
const RUN = 1;

/** Asks for a task's parameters and stays open, with the reason, until the job is accepted or the user gives up. */
export class RunDialog extends Dialog<void> {
  /**
   * @param options - What the form starts from.
   * @param _submit - Hands the request to the server; throws with a sentence when it is refused.
   */
  constructor(
    options: RunFormOptions,
    private readonly _submit: (request: JobRequest) => Promise<void>
  ) {
    const { trans, task } = options;
    const form = new RunForm(options);
    super({
      title: task.title,
      body: form,
      buttons: [
        Dialog.cancelButton(),
        Dialog.okButton({ label: trans.__('Run') })
      ],
      defaultButton: RUN,
      focusNodeSelector: 'input, select'
    });
    this._form = form;
    this.addClass('dlp-RunDialog');
  }

  /** Lab's dialogs keep Enter from all buttons but their own. */
  handleEvent(event: Event): void {
    const isFormButton =
      event.target instanceof HTMLButtonElement &&
      this._form.node.contains(event.target);
    if (!(isFormButton && (event as KeyboardEvent).key === 'Enter')) {
      super.handleEvent(event);
    }
  }

  /** Called by the buttons and by Enter. */
  resolve(index = RUN): void {
    if (index !== RUN) {
      super.resolve(index);
    } else if (!this._isSubmitting) {
      this._setSubmitting(true);
      void this._run().finally(() => this._setSubmitting(false));
    }
  }

  private _setSubmitting(isSubmitting: boolean): void {
    this._isSubmitting = isSubmitting;
    if (this.isDisposed) {
      return;
    }
    this._form.showChecking(isSubmitting);
    // Not the attribute `disabled`: the button would lose the focus, and the dialog with it the Escape key.
    this.node
      .querySelector('.jp-Dialog-button.jp-mod-accept')
      ?.setAttribute('aria-disabled', String(isSubmitting));
  }

  private async _run(): Promise<void> {
    this._form.showError(null);
    try {
      await this._submit(this._form.request());
    } catch (error) {
      this._form.showError(
        error instanceof Error ? error.message : String(error)
      );
      return;
    }
    super.resolve(RUN);
  }

  private readonly _form: RunForm;
  private _isSubmitting = false;
}
