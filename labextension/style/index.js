import './panel.css';
import './run_dialog.css';
import './series_browser.css';
import './viewer.css';
import './documents.css';
