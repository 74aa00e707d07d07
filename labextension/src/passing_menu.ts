import { MenuSvg } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';

/** A menu that is opened once: it and its submenus are disposed when it has closed. */
export class PassingMenu extends MenuSvg {
  constructor(commands: CommandRegistry) {
    super({ commands });
    // later, for the command that was chosen is executed after the menu has closed
    this.aboutToClose.connect(() => setTimeout(() => this.dispose()));
  }

  dispose(): void {
    const submenus = this.items.map(({ submenu }) => submenu);
    super.dispose();
    submenus.forEach(submenu => submenu?.dispose());
  }
}
