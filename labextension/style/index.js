import './panel.css';
import './run_dialog.css';
