"""DICOMweb (PS3.18): QIDO-RS requests and their answers. Pure."""
