/* To be preloaded. PyTorch's Fourier transform (MKL) takes another path, with other rounding, on other makers'
 * processors; the reference's numbers come from an Intel one. */
int mkl_serv_intel_cpu(void) { return 1; }
int mkl_serv_intel_cpu_true(void) { return 1; }
