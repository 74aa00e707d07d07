"""Whether a derived series is what it claims: valid DICOM, of its source, at its place, with the values of its record.

`check.check_derived` puts the four layers together. Nothing here repairs anything, and the code that writes derived
series (`dlp_lab.dicom.write_image`) is not used, so that a mistake in it cannot hide itself.
"""
